#include "storage/wal_check.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

namespace jack {
namespace {

constexpr std::uint32_t kMagic = 0x377f0682;  // or with the last bit set
constexpr std::size_t kHeaderBytes = 32;
constexpr std::size_t kHeaderSummedBytes = 24;
constexpr std::size_t kFrameHeaderBytes = 24;
constexpr std::uint32_t kPageBytesMin = 512;
constexpr std::uint32_t kPageBytesMax = 65536;

// The numbers of headers are big-endian.
std::uint32_t number_at(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i)
    value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

void put_number(std::string& bytes, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
}

// SQLite's sum of a WAL. Bytes are summed as 32-bit numbers, whose order the last bit of the magic
// tells, the same for the whole file: set for big-endian.
struct Sum {
  std::uint32_t first = 0;
  std::uint32_t second = 0;

  static Sum at(std::string_view bytes, std::size_t at) {
    return {number_at(bytes, at), number_at(bytes, at + 4)};
  }

  template <bool swap>
  void add(std::string_view bytes) {
    for (std::size_t i = 0; i < bytes.size(); i += 8) {
      std::array<std::uint32_t, 2> pair{};
      std::memcpy(pair.data(), bytes.data() + i, sizeof pair);
      if constexpr (swap) pair = {__builtin_bswap32(pair[0]), __builtin_bswap32(pair[1])};
      first += pair[0] + second;
      second += pair[1] + first;
    }
  }

  void add(std::string_view bytes, bool big_endian) {
    const bool native = (std::endian::native == std::endian::big) == big_endian;
    native ? add<false>(bytes) : add<true>(bytes);
  }

  friend bool operator==(const Sum&, const Sum&) = default;
};

class WalReader {
 public:
  explicit WalReader(int file) : file_(file), buffer_(kFrameHeaderBytes + kPageBytesMax) {}

  Result<std::optional<WalDamage>> check();

 private:
  // What is at `at`, or as much of it as the file has. Valid until the next call.
  Result<std::string_view> read(std::uint64_t at, std::size_t size);

  bool take_header(std::string_view header);
  bool take_format(std::string_view header);
  void take_use(std::string_view header);  // what stands before its sum is enough

  // Behind a header that is none.
  Result<std::optional<WalDamage>> check_headless(const std::string& header);
  Result<bool> is_all_zeros();
  Result<bool> has_earlier_use(const std::string& header);

  // The number of the first frame that does not fit; nothing where all do up to the file's end.
  Result<std::optional<std::uint64_t>> first_misfit();
  // How many commits stand behind those frames that may be a torn end, which begins at `frame`.
  Result<std::uint64_t> commits_behind(std::uint64_t frame);

  std::size_t frame_bytes() const { return kFrameHeaderBytes + page_bytes_; }
  std::uint64_t offset_of(std::uint64_t frame) const {
    return kHeaderBytes + (frame - 1) * frame_bytes();
  }

  // Of the first bytes of a frame.
  bool is_current(std::string_view frame) const { return frame.substr(8, 8) == salts_; }
  static bool has_commit_mark(std::string_view frame) { return number_at(frame, 4) != 0; }
  static Sum sum_of(std::string_view frame) { return Sum::at(frame, 16); }

  // A whole frame is the one that was written behind a frame with this sum.
  bool fits(std::string_view frame, Sum before) const;

  const int file_;
  std::vector<char> buffer_;
  bool big_endian_ = false;
  std::size_t page_bytes_ = 0;
  std::string salts_;
  Sum header_sum_;
};

Result<std::string_view> WalReader::read(std::uint64_t at, std::size_t size) {
  std::size_t got = 0;
  while (got < size) {
    const ssize_t now =
        ::pread(file_, buffer_.data() + got, size - got, static_cast<off_t>(at + got));
    if (now < 0 && errno == EINTR) continue;
    if (now < 0) {
      return Error{Code::unavailable, std::string("cannot read the WAL: ") + std::strerror(errno)};
    }
    if (now == 0) break;
    got += static_cast<std::size_t>(now);
  }
  return std::string_view(buffer_.data(), got);
}

Result<std::optional<WalDamage>> WalReader::check() {
  const Result<std::string_view> header = read(0, kHeaderBytes);
  if (!header) return header.error();
  if (header->size() < kHeaderBytes) return std::optional<WalDamage>();
  const std::string kept(*header);
  if (!take_header(kept)) return check_headless(kept);

  const Result<std::optional<std::uint64_t>> misfit = first_misfit();
  if (!misfit) return misfit.error();
  if (!*misfit) return std::optional<WalDamage>();
  const Result<std::uint64_t> commits = commits_behind(**misfit);
  if (!commits) return commits.error();
  if (*commits == 0) return std::optional<WalDamage>();
  return std::optional(WalDamage{**misfit, offset_of(**misfit), *commits});
}

bool WalReader::take_header(std::string_view header) {
  if (!take_format(header)) return false;
  take_use(header);
  return header_sum_ == Sum::at(header, kHeaderSummedBytes);
}

bool WalReader::take_format(std::string_view header) {
  const std::uint32_t magic = number_at(header, 0);
  const std::uint32_t page_bytes = number_at(header, 8);
  if ((magic & ~1u) != kMagic) return false;
  if (!std::has_single_bit(page_bytes)) return false;
  if (page_bytes < kPageBytesMin || page_bytes > kPageBytesMax) return false;
  big_endian_ = (magic & 1) != 0;
  page_bytes_ = page_bytes;
  return true;
}

void WalReader::take_use(std::string_view header) {
  header_sum_ = {};
  header_sum_.add(header.substr(0, kHeaderSummedBytes), big_endian_);
  salts_ = header.substr(16, 8);
}

// SQLite syncs the header before it writes the first frame. So behind a header that was being
// written there are zeros, where the file was made longer ahead of use, or frames of the use before
// this one, which are all in the database since. Anything else shows that the header is damaged.
Result<std::optional<WalDamage>> WalReader::check_headless(const std::string& header) {
  Result<bool> nothing = is_all_zeros();
  if (nothing && !*nothing) nothing = has_earlier_use(header);
  if (!nothing) return nothing.error();
  return *nothing ? std::optional<WalDamage>() : std::optional(WalDamage{});
}

Result<bool> WalReader::is_all_zeros() {
  for (std::uint64_t at = kHeaderBytes;;) {
    const Result<std::string_view> some = read(at, kPageBytesMax);
    if (!some) return some.error();
    if (some->empty()) return true;
    if (some->find_first_not_of('\0') != some->npos) return false;
    at += some->size();
  }
}

// Whether the first frame fits behind the header that this one took the place of: the same
// beginning, a number of the use less by one, the salts of the frame.
Result<bool> WalReader::has_earlier_use(const std::string& header) {
  if (!take_format(header)) return false;
  const Result<std::string_view> frame = read(offset_of(1), frame_bytes());
  if (!frame) return frame.error();
  if (frame->size() < frame_bytes()) return false;
  std::string earlier = header.substr(0, 12);
  put_number(earlier, number_at(header, 12) - 1);
  earlier += frame->substr(8, 8);
  take_use(earlier);
  return fits(*frame, header_sum_);
}

Result<std::optional<std::uint64_t>> WalReader::first_misfit() {
  Sum before = header_sum_;
  for (std::uint64_t number = 1;; ++number) {
    const Result<std::string_view> frame = read(offset_of(number), frame_bytes());
    if (!frame) return frame.error();
    if (frame->size() < frame_bytes()) return std::optional<std::uint64_t>();
    if (!fits(*frame, before)) return std::optional(number);
    before = sum_of(*frame);
  }
}

Result<std::uint64_t> WalReader::commits_behind(std::uint64_t frame) {
  std::uint64_t commits = 0;
  bool torn_end = true;  // up to the first commit mark, whether its frame was torn or not
  Sum before;
  for (std::uint64_t number = frame;; ++number) {
    Result<std::string_view> read = this->read(offset_of(number), kFrameHeaderBytes);
    if (!read) return read.error();
    if (read->size() < kFrameHeaderBytes) return commits;
    const Sum sum = sum_of(*read);
    if (is_current(*read) && has_commit_mark(*read)) {
      if (!torn_end) {
        read = this->read(offset_of(number), frame_bytes());
        if (!read) return read.error();
        if (read->size() == frame_bytes() && fits(*read, before)) ++commits;
      }
      torn_end = false;
    }
    before = sum;
  }
}

bool WalReader::fits(std::string_view frame, Sum before) const {
  if (!is_current(frame) || number_at(frame, 0) == 0) return false;
  before.add(frame.substr(0, 8), big_endian_);
  before.add(frame.substr(kFrameHeaderBytes), big_endian_);
  return before == sum_of(frame);
}

}  // namespace

Result<std::optional<WalDamage>> check_wal(int file) { return WalReader(file).check(); }

}  // namespace jack
