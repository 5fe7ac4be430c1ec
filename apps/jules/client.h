// Calls the API of before: the earlier server, or `jack serve` in its place.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include <nlohmann/json_fwd.hpp>

#include <jack_engine/error.h>

#include "apps/http/client.h"
#include "apps/jules/task_view.h"

namespace jack::jules {

// What all calls return: the server's answer, of the shape that is named.
//
// Errors: unavailable  as http::call(), or the answer is not of this API
//         others       what the server refused, by its status; the message has its own words
class Client {
 public:
  // `key`: for X-API-Key; empty: none.
  Client(http::BaseUrl url, std::string key, const http::CallLimits& limits)
      : url_(std::move(url)), key_(std::move(key)), limits_(limits) {}

  Result<Value> health();  // an object

  // `agent`: empty: nobody. An object.
  Result<Value> add(std::string_view text, std::string_view agent);

  Result<Value> tasks();  // an array of objects, newest first

  // {"task_id": …, "data": {…}}, `data` being an object.
  Result<Value> task(std::string_view id);

  // The newest `count_max` of the tasks that have ended with a result, each as task() gives it. An
  // empty result is none. One request for each task that may have one.
  Result<Value> results(std::size_t count_max);

 private:
  Result<Value> ask(http::Method method, std::string path, std::string body = {});
  Result<Value> with_result(const Value& entry);

  http::BaseUrl url_;
  std::string key_;
  http::CallLimits limits_;
};

// Of a task's `data`, or of an entry of tasks(): what came of it; null: nothing.
const Value& result_of(const Value& fields);

// A field as text: a text as it is, nothing as "", and the rest as JSON.
std::string text_of(const Value& fields, std::string_view name);

}  // namespace jack::jules
