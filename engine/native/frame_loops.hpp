// The inner loops, compiled once for each instruction set and chosen at the first call.
#pragma once

#include "frame_body.hpp"
#include "frame_operations.hpp"

namespace photopeak {

constexpr std::int64_t kStripRows = 8;  // rows whose rests are settled together

struct StoredFrame {
  void* pixels;
  Stored type;
};

// Two rounds of players for one strip, each of kStripRows x columns.
struct StripScratch {
  std::int32_t *rest[2], *pixel[2];
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

struct Sums {
  double all, positive;
};

struct Extent {
  std::uint32_t least, most;
};

struct Loops {
  const char* name;
  void (*to_float)(const void* stored, Stored type, std::int64_t n, Rescale rescale, float* out);
  // Both return whether every pixel fits.
  bool (*round_plain)(const RoundingJob& job, std::int64_t begin, std::int64_t end, StoredFrame out);
  bool (*round_strip)(const RoundingJob& job, std::int64_t row, std::int64_t rows, StripScratch scratch,
                      StoredFrame out, Player* root);
  void (*normalise)(const float* in, std::int64_t n, float low, float inverse_width, float* out);
  // out += row_weight * weights * tile
  void (*blend_row)(const float* tile, const float* weights, float row_weight, std::int64_t n, float* out);
  // Of rows begin..end-1 of a frame, with their differences to the rows above; scratch holds 4 rows.
  Moments (*moments)(const float* frame, std::int64_t columns, std::int64_t begin, std::int64_t end, float* scratch);
  // Copies the bits ^ flip of the floats whose first 11 bits are `prefix`, and returns how many; writes up to 15
  // beyond.
  std::int64_t (*collect)(const float* in, std::int64_t n, std::uint32_t prefix, std::uint32_t flip,
                          std::uint32_t* out);
  Extent (*extent)(const std::uint32_t* in, std::int64_t n);
  Sums (*sums)(const float* in, std::int64_t n);
  double (*scale)(const float* in, std::int64_t n, float factor, float* out);  // returns the sum of what it wrote
};

extern const Loops loops_baseline;
#ifdef PHOTOPEAK_X86_LOOPS
extern const Loops loops_avx2;
extern const Loops loops_avx512;
#endif

// The fastest loops that this processor runs; PHOTOPEAK_SIMD=baseline|avx2|avx512 narrows the choice.
const Loops& loops();

// Calls `body(T{})` with the element type that `type` names.
template <class Body>
static inline void with_type(Stored type, Body&& body) {
  switch (type) {
    case Stored::u8: return body(std::uint8_t{});
    case Stored::i8: return body(std::int8_t{});
    case Stored::u16: return body(std::uint16_t{});
    case Stored::i16: return body(std::int16_t{});
    case Stored::u32: return body(std::uint32_t{});
    case Stored::i32: return body(std::int32_t{});
  }
}

}  // namespace photopeak
