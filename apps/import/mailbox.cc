#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "apps/import/parse.h"
#include "apps/text/escape.h"

namespace jack::app {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

std::string_view without_blanks_behind(std::string_view text) {
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

std::string_view without_blanks_before(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  return text;
}

// "2025-07-01T18:47" is enough to tell that a timestamp is meant; whether it is one is another
// question. A blank for the T is none: logs that people paste into a text write their dates so.
bool begins_with_timestamp(std::string_view line) {
  static constexpr std::string_view kForm = "0000-00-00T00:00";
  if (line.size() < kForm.size()) return false;
  for (std::size_t i = 0; i < kForm.size(); ++i) {
    const bool digit = line[i] >= '0' && line[i] <= '9';
    if (kForm[i] == '0' ? !digit : line[i] != kForm[i]) return false;
  }
  return true;
}

// A timestamp and what follows it.
struct FirstLine {
  std::string_view created;
  std::string_view text;
};

FirstLine split(std::string_view line) {
  const std::string_view created = line.substr(0, line.find_first_of(" \t"));
  std::string_view text = without_blanks_before(line.substr(created.size()));
  for (const std::string_view dash : {"-", "–", "—"}) {
    if (text == dash) text = {};
    if (text.starts_with(std::string(dash) + " "))
      text = without_blanks_before(text.substr(dash.size()));
  }
  // "2025-07-01T18:47:04Z: text"
  return {created.ends_with(':') ? created.substr(0, created.size() - 1) : created, text};
}

class MailboxFile {
 public:
  explicit MailboxFile(const Mailbox& mailbox) : mailbox_(mailbox) {
    file_.kind = FileKind::mailbox;
  }

  ParsedFile read(std::string_view text) {
    while (!text.empty()) {
      const std::string_view line = text.substr(0, text.find('\n'));
      text.remove_prefix(std::min(line.size() + 1, text.size()));
      ++line_;
      take(line.ends_with('\r') ? line.substr(0, line.size() - 1) : line);
    }
    end_entry();
    return std::move(file_);
  }

 private:
  void take(std::string_view line) {
    if (begins_with_timestamp(line)) {
      end_entry();
      const FirstLine first = split(line);
      entry_.emplace();
      entry_->line = line_;
      entry_->created = first.created;
      entry_->text = first.text;
    } else if (entry_) {
      entry_->text += '\n';
      entry_->text += line;
    } else if (!without_blanks_before(line).empty() && !line.starts_with('#') && !told_) {
      told_ = true;
      report(line_, "what stands before the first timestamp is no entry");
    }
  }

  void end_entry() {
    if (!entry_) return;
    Entry entry = *std::move(entry_);
    entry_.reset();
    if (!is_utf8(entry.text) || !is_utf8(entry.created)) {
      return report(entry.line, "left out: is not UTF-8");
    }
    entry.text = std::string(without_blanks_before(without_blanks_behind(entry.text)));
    if (entry.text.empty()) return report(entry.line, "left out: a timestamp without a text");
    entry.time = entry_time(entry.created);
    if (!entry.time) {
      report(entry.line,
             fmt::format("'{}' is no date; imported without", cut_to(escaped(entry.created), 60)),
             false);
    }
    entry.agent = mailbox_.to;
    entry.from = mailbox_.from;
    file_.entries.push_back(std::move(entry));
  }

  void report(std::uint64_t line, std::string message, bool left_out = true) {
    file_.problems.push_back({line, 0, std::move(message), left_out});
  }

  const Mailbox& mailbox_;
  ParsedFile file_;
  std::optional<Entry> entry_;  // the one that is being read
  std::uint64_t line_ = 0;
  bool told_ = false;
};

}  // namespace

Result<Mailbox> mailbox_of(std::string_view file_name) {
  static constexpr std::string_view kTo = "-to-";
  static constexpr std::string_view kEnding = ".md";
  const Error other{Code::not_found, "not named FROM-to-TO.md"};
  if (!file_name.ends_with(kEnding)) return other;
  const std::string_view names = file_name.substr(0, file_name.size() - kEnding.size());
  const std::size_t place = names.find(kTo);
  if (place == std::string_view::npos || place == 0) return other;
  const std::string_view to = names.substr(place + kTo.size());
  if (to.empty()) return other;
  // One character on, because "-to-to-" has it twice as well.
  if (names.find(kTo, place + 1) != std::string_view::npos) {
    return Error{Code::invalid_argument,
                 "from whom to whom is this? Its name has -to- more than once"};
  }
  return Mailbox{std::string(names.substr(0, place)), std::string(to)};
}

ParsedFile parse_mailbox(const Mailbox& mailbox, std::string_view text) {
  return MailboxFile(mailbox).read(without_byte_order_mark(text));
}

}  // namespace jack::app
