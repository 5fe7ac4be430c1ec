// What tests of the formats encode.
#pragma once

#include <string>
#include <string_view>

#include <jack_engine/task.h>

namespace jack {

// Every field differs from its default.
inline TaskSpec full_spec() {
  TaskSpec spec;
  spec.id = TaskId::from(WallTime{Duration{1'800'000'000'000}}, 0x123, 0x456789);
  spec.queue = "mail.out-1_x";
  spec.payload = std::string("pay\0load", 8);
  spec.type = "send";
  spec.content_type = "text/plain";
  spec.priority = Priority::urgent;
  spec.not_before = WallTime{Duration{1'800'000'001'000}};
  spec.expires_at = WallTime{Duration{1'800'000'002'000}};
  spec.timeout = Duration{5000};
  spec.max_attempts = 7;
  spec.backoff = {Duration{10}, 1500, Duration{1000}, 0};
  spec.reply_to = "answers";
  spec.parent = TaskId::from(WallTime{Duration{1'700'000'000'000}}, 1, 2);
  spec.from = "Ada";
  spec.headers = {{"traceparent", "00-aa-bb-01"}, {"zone", "eu"}};
  return spec;
}

inline std::string hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const char byte : bytes) {
    text += kDigits[static_cast<unsigned char>(byte) >> 4];
    text += kDigits[static_cast<unsigned char>(byte) & 15];
  }
  return text;
}

}  // namespace jack
