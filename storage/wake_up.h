// A descriptor that one thread makes readable so that another, which polls it, wakes up.
#pragma once

namespace jack {

// Any thread. A signal that nobody has cleared yet is not counted twice.
class WakeUp {
 public:
  WakeUp();  // asserts that the process has a descriptor left
  WakeUp(const WakeUp&) = delete;
  WakeUp& operator=(const WakeUp&) = delete;
  ~WakeUp();

  void signal();
  void clear();

  int descriptor() const { return descriptor_; }

 private:
  const int descriptor_;
};

}  // namespace jack
