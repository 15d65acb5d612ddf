#include "jpeg_lossless.hpp"

#include <array>
#include <vector>

namespace photopeak {
namespace {

constexpr int kLongestCode = 16;
// One component needs one table; a stream may define four, and some define them again.
constexpr int kMostTables = 16;

// Length and value of the code that a 16-bit window starts with; length 0 where there is no code.
struct HuffmanTable {
  struct Entry {
    std::uint8_t length, value;
  };
  std::vector<Entry> entries;
};

struct Stream {
  std::array<HuffmanTable, 4> tables;
  std::uint32_t rows = 0, columns = 0, restart_interval = 0;
  int precision = 0, predictor = 0, point_transform = 0, table = 0, defined = 0;
  const std::uint8_t *scan = nullptr, *end = nullptr;
};

std::uint32_t big_endian(const std::uint8_t* p) { return static_cast<std::uint32_t>(p[0]) << 8 | p[1]; }

// Annex C: codes of one length count upwards; the first of the next length is twice the one after the last.
const char* read_tables(const std::uint8_t* p, const std::uint8_t* end, Stream& stream) {
  while (p < end) {
    if (++stream.defined > kMostTables) return "it has too many Huffman tables";
    if (end - p < 1 + kLongestCode || (p[0] >> 4) != 0 || (p[0] & 15) > 3) return "a Huffman table is invalid";
    auto& entries = stream.tables[p[0] & 3].entries;
    entries.assign(1u << kLongestCode, {0, 0});
    const std::uint8_t *counts = p + 1, *values = p + 1 + kLongestCode;
    std::uint32_t code = 0;
    for (int length = 1; length <= kLongestCode; ++length, code <<= 1) {
      for (int i = 0; i < counts[length - 1]; ++i, ++code, ++values) {
        const std::uint32_t first = code << (kLongestCode - length), span = 1u << (kLongestCode - length);
        if (values >= end || *values > 16 || first + span > entries.size()) return "a Huffman table is invalid";
        for (std::uint32_t j = first; j < first + span; ++j) entries[j] = {static_cast<std::uint8_t>(length), *values};
      }
    }
    p = values;
  }
  return nullptr;
}

const char* read_frame_header(const std::uint8_t* p, std::size_t length, Stream& stream) {
  if (length != 9 || p[5] != 1) return "it has more than one component";
  stream.precision = p[0];
  stream.rows = big_endian(p + 1);
  stream.columns = big_endian(p + 3);
  return stream.precision < 2 || stream.precision > 16 ? "its precision is invalid" : nullptr;
}

const char* read_scan_header(const std::uint8_t* p, std::size_t length, Stream& stream) {
  if (length != 6 || p[0] != 1) return "its scan has more than one component";
  stream.table = p[2] >> 4;
  stream.predictor = p[3];
  stream.point_transform = p[5] & 15;
  const bool valid = stream.precision && stream.table <= 3 && !stream.tables[stream.table].entries.empty() &&
                     stream.predictor >= 1 && stream.predictor <= 7 && stream.point_transform < stream.precision;
  return valid ? nullptr : "its scan header is invalid";
}

// Walks the marker segments up to the first scan (B.1.1.4: two bytes of marker, two of length, which counts itself).
const char* read_headers(const std::uint8_t* data, std::size_t size, Stream& stream) {
  if (size < 4 || big_endian(data) != 0xFFD8) return "it is no JPEG stream";
  for (std::size_t at = 2; at + 4 <= size;) {
    if (data[at] != 0xFF) return "a marker is missing";
    const std::uint8_t marker = data[at + 1];
    if (marker == 0xFF) {
      ++at;
      continue;
    }
    const std::size_t length = big_endian(data + at + 2);
    if (length < 2 || at + 2 + length > size) return "a segment is cut off";
    const std::uint8_t *body = data + at + 4, *end = data + at + 2 + length;
    const char* problem = nullptr;
    if (marker == 0xC4) problem = read_tables(body, end, stream);
    if (marker == 0xC3) problem = read_frame_header(body, length - 2, stream);
    if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC3 && marker != 0xC4)
      problem = "it is no lossless Huffman stream";
    if (marker == 0xDD && length == 4) stream.restart_interval = big_endian(body);
    if (marker == 0xDA) {
      stream.scan = end;
      stream.end = data + size;
      return read_scan_header(body, length - 2, stream);
    }
    if (problem) return problem;
    at += 2 + length;
  }
  return "it has no scan";
}

// Bits of the entropy-coded segments, most significant first. Past a marker or the end it gives zeros and counts them.
class Bits {
 public:
  Bits(const std::uint8_t* p, const std::uint8_t* end) : p_(p), end_(end) {}

  std::uint32_t peek16() {
    if (count_ < kLongestCode) fill();
    return static_cast<std::uint32_t>(bits_ >> (count_ - 16)) & 0xFFFF;
  }
  void skip(int n) { count_ -= n; }
  std::uint32_t take(int n) {
    const std::uint32_t value = peek16() >> (16 - n);
    skip(n);
    return value;
  }
  // Whether bits were taken that the stream does not have.
  bool overran() const { return padding_ > count_; }

  // Goes on behind the next restart marker.
  bool restart() {
    bits_ = 0, count_ = 0, padding_ = 0;
    while (p_ + 1 < end_ && !(p_[0] == 0xFF && p_[1] >= 0xD0 && p_[1] <= 0xD7)) {
      if (p_[0] == 0xFF && p_[1] != 0 && p_[1] != 0xFF) return false;
      ++p_;
    }
    if (p_ + 1 >= end_) return false;
    p_ += 2;
    return true;
  }

 private:
  void fill() {
    while (count_ <= 48) {
      std::uint8_t byte = 0;
      if (p_ < end_ && (*p_ != 0xFF || (p_ + 1 < end_ && p_[1] == 0))) {
        byte = *p_;
        p_ += byte == 0xFF ? 2 : 1;
      } else {
        padding_ += 8;
      }
      bits_ = bits_ << 8 | byte;
      count_ += 8;
    }
  }

  const std::uint8_t *p_, *end_;
  std::uint64_t bits_ = 0;
  std::int64_t count_ = 0, padding_ = 0;
};

// H.1.2.2: the category of the difference is Huffman-coded, the difference follows in as many bits.
inline bool decode_difference(Bits& bits, const HuffmanTable& table, std::int32_t& difference) {
  const auto entry = table.entries[bits.peek16()];
  if (entry.length == 0) return false;
  bits.skip(entry.length);
  const int n = entry.value;
  if (n == 0 || n == 16) {
    difference = n ? 32768 : 0;
    return true;
  }
  const std::int32_t value = static_cast<std::int32_t>(bits.take(n));
  difference = value < (1 << (n - 1)) ? value - (1 << n) + 1 : value;
  return true;
}

// Table H.1, with a the sample to the left, b above, c above to the left.
inline std::int32_t predict(int predictor, std::int32_t a, std::int32_t b, std::int32_t c) {
  switch (predictor) {
    case 1: return a;
    case 2: return b;
    case 3: return c;
    case 4: return a + b - c;
    case 5: return a + ((b - c) >> 1);
    case 6: return b + ((a - c) >> 1);
    default: return (a + b) >> 1;
  }
}

const char* decode_row(Bits& bits, const Stream& stream, bool first, std::uint16_t* row) {
  const HuffmanTable& table = stream.tables[stream.table];
  const std::uint16_t* above = row - stream.columns;
  std::int32_t difference = 0;
  for (std::uint32_t x = 0; x < stream.columns; ++x) {
    if (!decode_difference(bits, table, difference)) return "a code is invalid";
    std::int32_t prediction = 0;
    if (first)
      prediction = x ? row[x - 1] : 1 << (stream.precision - stream.point_transform - 1);
    else
      prediction = x ? predict(stream.predictor, row[x - 1], above[x], above[x - 1]) : above[0];
    row[x] = static_cast<std::uint16_t>(prediction + difference);
  }
  return bits.overran() ? "its data are cut off" : nullptr;
}

}  // namespace

const char* decode_jpeg_lossless(const std::uint8_t* data, std::size_t size, std::uint32_t rows, std::uint32_t columns,
                                 std::uint16_t* samples) {
  Stream stream;
  if (const char* problem = read_headers(data, size, stream)) return problem;
  if (stream.rows != rows || stream.columns != columns || !columns) return "its size is not that of the image";
  if (stream.restart_interval % columns) return "its restart interval is not a number of rows";
  const std::uint32_t interval = stream.restart_interval / columns;
  Bits bits(stream.scan, stream.end);
  for (std::uint32_t y = 0; y < rows; ++y) {
    const bool restarted = interval && y && y % interval == 0;
    if (restarted && !bits.restart()) return "a restart marker is missing";
    const char* problem = decode_row(bits, stream, y == 0 || restarted, samples + std::size_t{y} * columns);
    if (problem) return problem;
  }
  if (stream.point_transform)
    for (std::size_t i = 0; i < std::size_t{rows} * columns; ++i)
      samples[i] = static_cast<std::uint16_t>(samples[i] << stream.point_transform);
  return nullptr;
}

}  // namespace photopeak
