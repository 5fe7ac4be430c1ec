// What a key allows, message by message: the one place where that is decided.
//
//   submit   hand in, cancel and retry tasks of the queue; annotate them; name it as a reply_to
//   work     take tasks of the queue, and all that is said of an attempt; annotate them
//   read     look at tasks, events and counts of the queue
//   admin    pause the queue, remove its tasks
//
// Greetings, signs of life, `info`, and what only changes a watch or a subscription that is there
// take any key. What shows many queues without naming one shows those that may be read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <jack_engine/error.h>
#include <jack_engine/id.h>

#include "engine/format/unpack.h"
#include "engine/front/batch.h"
#include "engine/front/sessions.h"
#include "engine/state/state.h"
#include "engine/wire/messages.h"

namespace jack {

// Finds the queues of tasks that are not in memory.
class TaskQueues {
 public:
  virtual ~TaskQueues() = default;
  // Nothing: there is no such task.
  // Errors: whatever reading the store gives
  virtual Result<std::optional<std::string>> queue_of(const TaskId& task) = 0;
  // The task with this number (TaskStatus::serial), in the same way.
  virtual Result<std::optional<TaskId>> find_number(std::uint64_t number) = 0;
};

// Pure, not thread-safe.
class Access {
 public:
  // Of a message, `items_max` items are looked at; one that has more is refused by the front.
  Access(const State& state, TaskQueues& queues, std::size_t items_max)
      : state_(state), queues_(queues), items_max_(items_max) {}

  struct Verdict {
    std::optional<Error> whole;  // the message is refused
    std::vector<Refusal> items;  // else these of its items are, in order
    std::uint64_t denied = 0;    // how many of these are for want of rights
  };

  // Of a session that has rights, not of one that may do all.
  //
  // A task that is in no queue yet is not found, although its submit may be on its way: only what
  // has been applied says whose it is. One that is named by its id and is in another queue is
  // permission_denied, without the name of that queue: ids cannot be guessed, and it helps whoever
  // was given one to hear what is wrong. Named by its number, which can be guessed, it is not
  // found.
  Verdict judge(const Session& session, const wire::Request& request);

 private:
  const State& state_;
  TaskQueues& queues_;
  const std::size_t items_max_;
  Unpacker unpacker_;
};

}  // namespace jack
