// What happens to one pixel, or to one pair: the arithmetic that the CPU and the CUDA code share.
//
// Both are compiled without contraction to fused multiply-add, so that every instruction set and device gives the same
// bits.
#pragma once

#include <cstdint>

// Always inlined and never shared between translation units: these are compiled for several instruction sets, and a
// merged copy for the newest one would crash older machines.
#ifdef __CUDACC__
#define PHOTOPEAK_BODY static __host__ __device__ __forceinline__
#else
#define PHOTOPEAK_BODY static inline __attribute__((always_inline))
#endif

namespace photopeak {

PHOTOPEAK_BODY float to_physical(double stored, double slope, double intercept) {
  return static_cast<float>(stored * slope + intercept);
}

PHOTOPEAK_BODY float normalised(float pixel, float low, float inverse_width) { return (pixel - low) * inverse_width; }

// Values that are physical already stay as they are, also the sign of a zero.
template <class T>
PHOTOPEAK_BODY float staged(T stored, double slope, double intercept, float low, float inverse_width) {
  const bool rescaled = slope != 1.0 || intercept != 0.0;
  return normalised(rescaled ? to_physical(stored, slope, intercept) : static_cast<float>(stored), low, inverse_width);
}

// Index inside 0..n-1 of position i >= 0 under reflection about the first and the last pixel, as often as needed.
PHOTOPEAK_BODY std::int64_t reflected(std::int64_t i, std::int64_t n) {
  if (n == 1) return 0;
  const std::int64_t period = 2 * (n - 1), phase = i % period;
  return phase < n ? phase : period - phase;
}

// 0 for a frame without contrast, so that it becomes 0 everywhere.
PHOTOPEAK_BODY float inverse_width(float low, float high) { return high == low ? 0.0f : 1.0f / (high - low); }

PHOTOPEAK_BODY float not_negative(float pixel) { return pixel > 0.0f ? pixel : 0.0f; }

PHOTOPEAK_BODY float scaled(float pixel, float factor, bool clamp) {
  return (clamp ? not_negative(pixel) : pixel) * factor;
}

// What is under the root of z = 2 sqrt(x + 3/8); pixels that are not finite count as 0.
PHOTOPEAK_BODY float anscombe_radicand(float pixel) {
  return (pixel > 0.0f && pixel <= 3.4028235e38f ? pixel : 0.0f) + 0.375f;
}

PHOTOPEAK_BODY float weighted(float row_weight, float column_weight, float pixel) {
  return row_weight * column_weight * pixel;
}

// 2^23: every float from here on is whole, and every smaller one fits an int32.
PHOTOPEAK_BODY bool has_fraction(float pixel) {
  const float size = pixel < 0.0f ? -pixel : pixel, bounded = size < 8388608.0f ? size : 8388608.0f;
  return static_cast<float>(static_cast<std::int32_t>(bounded)) != bounded;
}

// --- Order statistics
// ---------------------------------------------------------------------------------------------------

// Radix selection looks at 11, 11 and 10 bits. Flipped bits are unsigned integers in the order of the floats.
constexpr int kPrefixShift = 21, kMiddleShift = 10, kBins = 2048;

PHOTOPEAK_BODY std::uint32_t flip_of(std::uint32_t bits) { return bits >> 31 ? 0xffffffffu : 0x80000000u; }

// --- Rounding that keeps the sum ------------------------------------------------------------------------------------
//
// Each pixel becomes the whole number below its exact value, or one more. Which ones get one more is settled as in a
// knock-out tournament between neighbours: two rests (fractions) meet; if they add up to one or more, the larger one is
// rounded up and the smaller one plays on with what is left, else the smaller one is rounded down and the larger one
// plays on with both. Every pair, every 2 x 2, 4 x 4 and 8 x 8 block keeps its sum within one unit, the frame within
// half a unit, and a pixel without a fraction is never touched.

constexpr int kRestBits = 30;
constexpr std::int32_t kUnit = std::int32_t{1} << kRestBits;

// Limits of a stored type, with the slack that the precision of a float32 calls for.
struct StoredRange {
  double low, high, slack;
};

struct Split {
  std::int32_t whole, rest;  // value = whole + rest / kUnit
  std::int64_t misfit;       // 1 when the value is not finite or outside the range; as wide as a double, for vectors
};

PHOTOPEAK_BODY Split split_value(float pixel, double inverse_slope, double intercept, StoredRange range) {
  const double exact = (static_cast<double>(pixel) - intercept) * inverse_slope;
  const bool fits = exact >= range.low - range.slack && exact <= range.high + range.slack;
  const double above = exact > range.low ? exact : range.low;  // also turns NaN into something convertible
  const double value = above < range.high ? above : range.high;
  const double toward_zero = static_cast<std::int32_t>(value);
  const double below = toward_zero > value ? toward_zero - 1.0 : toward_zero;
  const std::int32_t rest = static_cast<std::int32_t>((value - below) * kUnit + 0.5);
  return {static_cast<std::int32_t>(below) + (rest >> kRestBits), rest & (kUnit - 1), !fits};
}

PHOTOPEAK_BODY std::int32_t rounded(Split value) { return value.whole + (value.rest >> (kRestBits - 1)); }

// Position in the frame of the one pixel that is still in play, and its rest.
struct Player {
  std::int32_t rest, pixel;
};

struct Match {
  Player winner;
  std::int32_t out, up;  // the pixel that leaves, and whether it is rounded up
};

PHOTOPEAK_BODY Match play(Player a, Player b) {
  const std::int32_t both = a.rest + b.rest, up = both >> kRestBits;
  const bool first = (a.rest >= b.rest) != (up != 0);  // whether `a` stays
  return {{both & (kUnit - 1), first ? a.pixel : b.pixel}, first ? b.pixel : a.pixel, up};
}

}  // namespace photopeak
