#include "apps/terminal.h"

#include <cstdio>
#include <cstdlib>

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

void write_complaint(const std::string& message) {
  std::string text = complainer() + ": " + message;
  if (text.back() != '\n') text += '\n';
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

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void set_complainer(std::string name) { complainer() = std::move(name); }

void complain(std::string_view message) { write_complaint(escaped(message)); }

void complain_lines(std::string_view text) { write_complaint(escaped_lines(text)); }

ExitStatus complain(const Error& error) {
  complain(error.message.empty() ? name_of(error.code) : std::string_view(error.message));
  return status_of(error.code);
}

}  // namespace jack::app
