#include "apps/terminal.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "apps/text/escape.h"

namespace jack::app {
namespace {

int descriptor_of(Stream stream) {
  return stream == Stream::output ? STDOUT_FILENO : STDERR_FILENO;
}

std::string& complainer() {
  static std::string name = "jack";
  return name;
}

int& first_print_error() {
  static int number = 0;
  return number;
}

void note_print(bool done) {
  if (!done && first_print_error() == 0) first_print_error() = errno;
}

// A write to a full pipe, or to a terminal that is held, would not come back.
constexpr int kFullForMs = 1000;

std::string with_complainer(const std::string& message) {
  std::string text = complainer() + ": " + message;
  if (text.back() != '\n') text += '\n';
  return text;
}

void write_complaint(const std::string& text) {
  pollfd wait{STDERR_FILENO, POLLOUT, 0};
  if (::poll(&wait, 1, kFullForMs) == 0) return;
  std::fwrite(text.data(), 1, text.size(), stderr);
}

}  // namespace

bool is_terminal(Stream stream) { return ::isatty(descriptor_of(stream)) == 1; }

bool has_colour(Stream stream) {
  const char* const no_colour = std::getenv("NO_COLOR");
  if (no_colour != nullptr && *no_colour != '\0') return false;
  const char* const terminal = std::getenv("TERM");
  if (terminal == nullptr || std::string_view(terminal) == "dumb") return false;
  return is_terminal(stream);
}

std::size_t terminal_columns() {
  winsize size{};
  if (!is_terminal(Stream::output) || ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

TableStyle table_style() { return {terminal_columns(), has_colour(Stream::output)}; }

void print(std::string_view text) {
  note_print(std::fwrite(text.data(), 1, text.size(), stdout) == text.size());
}

bool flush_printed() {
  note_print(std::fflush(stdout) == 0);
  return print_error() == 0;
}

int print_error() { return first_print_error(); }

void set_complainer(std::string name) { complainer() = std::move(name); }

std::string complaint(std::string_view message) { return with_complainer(escaped(message)); }

void complain(std::string_view message) { write_complaint(complaint(message)); }

void complain_lines(std::string_view text) {
  write_complaint(with_complainer(escaped_lines(text)));
}

ExitStatus complain(const Error& error) {
  complain(error.message.empty() ? name_of(error.code) : std::string_view(error.message));
  return status_of(error.code);
}

}  // namespace jack::app
