// The inner loops, compiled once for each instruction set and chosen at the first call.
#pragma once

#include "frame_body.hpp"
#include "frame_operations.hpp"

namespace photopeak {

// Rows and columns whose rests are settled together.
constexpr std::int64_t kStripRows = 8, kBlockColumns = 16;

static inline std::int64_t block_count(std::int64_t columns) { return (columns + kBlockColumns - 1) / kBlockColumns; }

struct StoredFrame {
  void* pixels;
  Stored type;
};

struct RoundingJob {
  const float* frame;
  std::int64_t columns;
  double inverse_slope, intercept;
  StoredRange range;
};

// Sums before the division by the number of pixels or pairs.
struct Moments {
  double sum, z, zz, difference_1, difference_2;
  float minimum, maximum;
  std::int64_t nonzero, non_finite, fractions;
};

struct Area {
  std::int64_t rows, columns;
};

// An area of a frame or a tile.
template <class T>
struct Rows {
  T* pixels;
  std::int64_t stride;
  T* at(std::int64_t row) const { return pixels + row * stride; }
};

// Sums are kept in sixteen lanes, whatever the machine has: the order of additions is then the same everywhere.
constexpr std::int64_t kSumLanes = 16;

struct SumLanes {
  double all[kSumLanes], positive[kSumLanes];
};

struct Sums {
  double all, positive;
};

// The sum of some pixels in lanes, and the least of them; NaN is none.
struct LeastAndSum {
  double sum[kSumLanes];
  float least;
};

struct Extent {
  std::uint32_t least, most;
};

struct Loops {
  const char* name;
  // Rescales and normalises n pixels that follow each other.
  void (*stage)(const void* pixels, Stored type, std::int64_t n, Rescale rescale, Contrast contrast, float* out);
  void (*reverse)(float* row, std::int64_t n);
  // Both return whether every pixel fits.
  bool (*round_plain)(const RoundingJob& job, std::int64_t begin, std::int64_t end, StoredFrame out);
  // At most kStripRows rows; scratch holds a player for each block_count(columns).
  bool (*round_strip)(const RoundingJob& job, std::int64_t row, std::int64_t rows, Player* scratch, StoredFrame out,
                      Player* root);
  // Writes the weighted pixels of the first tile that meets here, and adds those of others.
  void (*blend)(Rows<const float> tile, const float* row_weights, const float* weights, Area area, bool first,
                Rows<float> out);
  // Of rows begin..end-1 of a frame, with their differences to the rows above; scratch holds 4 rows.
  Moments (*moments)(const float* frame, std::int64_t columns, std::int64_t begin, std::int64_t end, float* scratch);
  // Whether all floats whose first 11 bits are `prefix` are the same, and the bits of the first; there must be one.
  bool (*uniform)(const float* in, std::int64_t n, std::uint32_t prefix, std::uint32_t* found);
  // Copies the bits ^ flip of the floats whose first 11 bits are `prefix`, and returns how many; writes up to 15
  // beyond.
  std::int64_t (*collect)(const float* in, std::int64_t n, std::uint32_t prefix, std::uint32_t flip,
                          std::uint32_t* out);
  Extent (*extent)(const std::uint32_t* in, std::int64_t n);
  void (*sums)(Rows<const float> in, Area area, SumLanes* lanes);              // adds to both
  void (*least_and_sum)(const float* in, std::int64_t n, LeastAndSum* found);  // adds to it
  // Scales, and adds what it wrote to `all`.
  void (*scale)(Rows<const float> in, Area area, float factor, bool clamp, Rows<float> out, SumLanes* lanes);
};

extern const Loops loops_baseline;
#ifdef PHOTOPEAK_X86_LOOPS
extern const Loops loops_avx2;
extern const Loops loops_avx512;
#endif

// The fastest loops that this processor runs; PHOTOPEAK_SIMD=baseline|avx2|avx512 narrows the choice.
const Loops& loops();

// Calls `body(T{})` with the integer that `type` names.
template <class Body>
static inline void with_integer(Stored type, Body&& body) {
  switch (type) {
    case Stored::u8: return body(std::uint8_t{});
    case Stored::i8: return body(std::int8_t{});
    case Stored::u16: return body(std::uint16_t{});
    case Stored::i16: return body(std::int16_t{});
    case Stored::u32: return body(std::uint32_t{});
    case Stored::i32: return body(std::int32_t{});
    case Stored::f32: return;
  }
}

// The same for all types.
template <class Body>
static inline void with_type(Stored type, Body&& body) {
  if (type == Stored::f32) return body(float{});
  with_integer(type, body);
}

}  // namespace photopeak
