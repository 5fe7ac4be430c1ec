// What the connections of a server have in common.
#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "apps/http/connection.h"
#include "engine/assert.h"

namespace jack::http {

void Common::add(std::shared_ptr<Connection> connection) {
  connection->place = connections.size();
  connections.push_back(std::move(connection));
  Counts::add(counts.connections_total);
  counts.connections.store(connections.size(), std::memory_order_relaxed);
}

void Common::remove(Connection& connection) {
  JACK_ASSERT(connections.at(connection.place).get() == &connection);
  if (connection.turned_away()) --turned_away;
  std::swap(connections[connection.place], connections.back());
  connections[connection.place]->place = connection.place;
  const std::shared_ptr<Connection> removed = std::move(connections.back());
  connections.pop_back();
  counts.connections.store(connections.size(), std::memory_order_relaxed);
  if (connections.empty() && on_empty) on_empty();
}

void Common::log(LogLevel level, std::string_view message) const {
  if (options.log) options.log(level, message);
}

std::string_view Common::date() {
  const std::time_t now = std::time(nullptr);
  if (now == dated_) return date_;
  static constexpr std::array<const char*, 7> kDays = {"Sun", "Mon", "Tue", "Wed",
                                                       "Thu", "Fri", "Sat"};
  static constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::array<char, 80> text{};
  std::snprintf(text.data(), text.size(), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                kDays.at(static_cast<std::size_t>(parts.tm_wday)), parts.tm_mday,
                kMonths.at(static_cast<std::size_t>(parts.tm_mon)), parts.tm_year + 1900,
                parts.tm_hour, parts.tm_min, parts.tm_sec);
  dated_ = now;
  date_ = text.data();
  return date_;
}

}  // namespace jack::http
