#include "apps/jules/metrics.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace jack::jules {
namespace {

// A label's value: https://prometheus.io/docs/instrumenting/exposition_formats/
std::string label(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\' || c == '"') escaped += '\\';
    if (c == '\n') {
      escaped += "\\n";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

class Text {
 public:
  void head(std::string_view name, std::string_view type, std::string_view help) {
    text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  }
  template <typename Number>
  void sample(std::string_view name, std::string_view labels, Number value) {
    text_ += labels.empty() ? fmt::format("{} {}\n", name, value)
                            : fmt::format("{}{{{}}} {}\n", name, labels, value);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

std::uint64_t ended(const QueueStatus& queue) {
  return queue.succeeded + queue.failed + queue.cancelled + queue.expired;
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == text.npos;
}

}  // namespace

void Metrics::on_answered(std::string_view endpoint, std::string_view method,
                          std::chrono::steady_clock::duration took) {
  Histogram& histogram = durations_[{std::string(endpoint), std::string(method)}];
  const double seconds = std::chrono::duration<double>(took).count();
  const auto bound = std::lower_bound(kBounds.begin(), kBounds.end(), seconds);
  ++histogram.counts.at(static_cast<std::size_t>(bound - kBounds.begin()));
  histogram.sum += seconds;
}

std::string Metrics::text(const std::vector<QueueStatus>& queues,
                          const std::vector<std::pair<std::string, std::string>>& engine,
                          const Options& options) const {
  Text text;
  // By queue, and so by agent: those of nobody are in the inbox, and what agents answered is no
  // work.
  const auto agent_of = [&options](const std::string& queue) {
    return queue == options.inbox ? std::string() : label(queue);
  };
  std::vector<QueueStatus> agents = queues;
  std::erase_if(agents, [&](const QueueStatus& queue) { return queue.name == options.responses; });
  text.head("a2a_tasks_total", "counter", "Tasks handed in, by whom they are assigned to.");
  for (const QueueStatus& queue : agents) {
    text.sample("a2a_tasks_total", fmt::format("assigned_to=\"{}\"", agent_of(queue.name)),
                queue.scheduled + queue.queued + queue.running + ended(queue));
  }
  text.head("a2a_tasks_processed_total", "counter", "Tasks completed, by agent.");
  for (const QueueStatus& queue : agents) {
    text.sample("a2a_tasks_processed_total", fmt::format("agent=\"{}\"", agent_of(queue.name)),
                queue.succeeded);
  }
  text.head("a2a_tasks_acknowledged_total", "counter",
            "Tasks acknowledged since this server started, by agent.");
  for (const auto& [queue, count] : acknowledged_) {
    text.sample("a2a_tasks_acknowledged_total", fmt::format("agent=\"{}\"", agent_of(queue)),
                count);
  }
  text.head("a2a_active_tasks", "gauge", "Tasks that are not finished, by agent.");
  for (const QueueStatus& queue : agents) {
    text.sample("a2a_active_tasks", fmt::format("agent=\"{}\"", agent_of(queue.name)),
                queue.scheduled + queue.queued + queue.running);
  }
  text.head("a2a_redis_connection_status", "gauge", "1 where Redis is connected.");
  text.sample("a2a_redis_connection_status", "", 0);

  text.head("a2a_api_request_duration_seconds", "histogram",
            "Time from a request to its answer, by route.");
  for (const auto& [route, histogram] : durations_) {
    const std::string labels =
        fmt::format("endpoint=\"{}\",method=\"{}\"", label(route.first), route.second);
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < histogram.counts.size(); ++i) {
      count += histogram.counts.at(i);
      const std::string bound = i < kBounds.size() ? fmt::format("{}", kBounds.at(i)) : "+Inf";
      text.sample("a2a_api_request_duration_seconds_bucket",
                  fmt::format("{},le=\"{}\"", labels, bound), count);
    }
    text.sample("a2a_api_request_duration_seconds_sum", labels, histogram.sum);
    text.sample("a2a_api_request_duration_seconds_count", labels, count);
  }

  text.head("jack_tasks", "gauge", "Tasks that are not finished, by queue and state.");
  for (const QueueStatus& queue : queues) {
    const std::string name = label(queue.name);
    const auto state = [&](std::string_view which, std::uint64_t count) {
      text.sample("jack_tasks", fmt::format("queue=\"{}\",state=\"{}\"", name, which), count);
    };
    state("scheduled", queue.scheduled);
    state("queued", queue.queued);
    state("running", queue.running);
  }
  text.head("jack_tasks_ended", "gauge",
            "Tasks that ended so, by queue and state, less those that were retried.");
  for (const QueueStatus& queue : queues) {
    const std::string name = label(queue.name);
    const auto state = [&](std::string_view which, std::uint64_t count) {
      text.sample("jack_tasks_ended", fmt::format("queue=\"{}\",state=\"{}\"", name, which), count);
    };
    state("succeeded", queue.succeeded);
    state("failed", queue.failed);
    state("cancelled", queue.cancelled);
    state("expired", queue.expired);
  }
  text.head("jack_queue_oldest_seconds", "gauge", "For how long the next task has waited.");
  for (const QueueStatus& queue : queues) {
    text.sample("jack_queue_oldest_seconds", fmt::format("queue=\"{}\"", label(queue.name)),
                static_cast<double>(queue.oldest.count()) / 1000.0);
  }
  for (const auto& [name, value] : engine) {
    if (!is_number(value)) continue;
    std::string metric = "jack_engine_" + name;
    std::ranges::replace(metric, '.', '_');  // a metric's name may not have one
    text.head(metric, "gauge", "As /v1/engine has it.");
    text.sample(metric, "", value);
  }
  return text.take();
}

}  // namespace jack::jules
