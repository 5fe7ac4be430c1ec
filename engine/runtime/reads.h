// Reading tasks, wherever they are: in memory first, then in the store.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <jack_engine/error.h>

#include "engine/front/flat_map.h"
#include "engine/front/front.h"
#include "engine/front/output.h"
#include "engine/runtime/sessions.h"
#include "engine/state/state.h"
#include "engine/store.h"

namespace jack {

// Not thread-safe. The loop owns it.
class Reads final : public Specs {
 public:
  Reads(const State& state, Store& store, const Front& front)
      : state_(state), store_(store), front_(front) {}

  // From memory, or from the store together with the specs that its queue hands out next.
  Result<std::string_view> spec(const TaskId& task) override;

  // Makes room in what was read ahead. Views given out before are void.
  void begin_turn();

  // The answer to a read, as a frame. `up_to_date`: the store has everything, or will get no more.
  // Nothing where the store must be up to date for it and is not.
  std::optional<std::string> answer(const Now& now, const Read& read, bool up_to_date);

  // Blobs with the events behind a position, oldest first; none where all that follow are in
  // memory, whose first entry is `first_in_memory`.
  // Errors: position_gone
  Result<std::vector<std::string>> events_after(Position after, std::uint64_t first_in_memory);

 private:
  using Correlation = wire::Correlation;

  // Errors: not_found, and those of the store
  Result<TaskId> task_of(const ReadTask& read);
  std::string answer_task(const Now& now, Correlation correlation, const ReadTask& read);
  std::string answer_result(Correlation correlation, const ReadResult& read);
  std::string answer_list(const Now& now, Correlation correlation, const ReadList& read);
  std::optional<std::string> answer_output(Correlation correlation, const ReadTaskOutput& read,
                                           bool up_to_date);

  struct Found {
    TaskStatus status;
    std::string result_content_type;
    bool in_store = false;
  };
  // Errors: not_found, and those of the store
  Result<Found> find(const TaskId& task);
  std::string encode_status(TaskStatus status) const;
  Result<std::string> spec_without_payload(std::string_view spec);
  void keep(const TaskId& task, std::string spec);
  void read_ahead(std::string_view queue);

  const State& state_;
  Store& store_;
  const Front& front_;

  std::unordered_map<TaskId, std::string, FlatHash> specs_;  // read from the store
  std::deque<TaskId> kept_;                                  // their ids, the oldest first
  std::size_t kept_bytes_ = 0;
  std::size_t handed_out_ahead_ = 0;  // hand-outs until it is worth reading ahead again
  Unpacker unpacker_;
};

}  // namespace jack
