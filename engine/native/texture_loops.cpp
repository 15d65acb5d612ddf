// Compiled several times, with PHOTOPEAK_TEXTURE_LOOPS naming the table to fill. Uses nothing of the standard library,
// for the reason that frame_loops.cpp gives.
#include "texture_loops.hpp"

#include <cstddef>

#include "frame_body.hpp"

namespace photopeak {
namespace {

PHOTOPEAK_BODY float magnitude(float value) { return __builtin_fabsf(value); }

PHOTOPEAK_BODY float second_difference(float before, float here, float after) { return before - 2.0f * here + after; }

PHOTOPEAK_BODY float third_difference(float a, float b, float c, float d) { return (d - a) + 3.0f * (b - c); }

PHOTOPEAK_BODY float fourth_difference(float a, float b, float c, float d, float e) {
  return (a + e) - 4.0f * (b + d) + 6.0f * c;
}

// Partial sums in a fixed order, which a compiler may keep in vector registers.
constexpr std::int64_t kLanes = 16;

// Adds term(0) ... term(n - 1).
template <class Term>
PHOTOPEAK_BODY double added(std::int64_t n, Term&& term) {
  float lanes[kLanes] = {};
  const std::int64_t whole = n / kLanes * kLanes;
  for (std::int64_t i = 0; i < whole; i += kLanes)
    for (std::int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += term(i + lane);
  for (std::int64_t i = whole; i < n; ++i) lanes[i - whole] += term(i);
  double eight[8], four[4];
  for (int k = 0; k < 8; ++k) eight[k] = static_cast<double>(lanes[k]) + static_cast<double>(lanes[k + 8]);
  for (int k = 0; k < 4; ++k) four[k] = eight[k] + eight[k + 4];
  return (four[0] + four[2]) + (four[1] + four[3]);
}

PHOTOPEAK_BODY double squares(const float* row, std::int64_t n) {
  return added(n, [row](std::int64_t i) __attribute__((always_inline)) { return row[i] * row[i]; });
}

void roots(const float* __restrict pixels, std::int64_t n, float* __restrict kept, float* __restrict z) {
  for (std::int64_t i = 0; i < n; ++i) {
    const float radicand = anscombe_radicand(pixels[i]);
    kept[i] = radicand - 0.375f;
    z[i] = 2.0f * __builtin_sqrtf(radicand);
  }
}

void along(const float* __restrict kept, const float* __restrict z, std::int64_t n, float* __restrict bent,
           float* __restrict third, float* __restrict fourth) {
  for (std::int64_t i = 1; i + 1 < n; ++i) bent[i] = second_difference(kept[i - 1], kept[i], kept[i + 1]);
  for (std::int64_t i = 2; i + 2 < n; ++i) {
    third[i] += magnitude(third_difference(z[i - 2], z[i - 1], z[i], z[i + 1]));
    fourth[i] += magnitude(fourth_difference(z[i - 2], z[i - 1], z[i], z[i + 1], z[i + 2]));
  }
}

void curvature(const float* const bent[3], const float* kept, std::int64_t blocks, Block* band) {
  const float *b0 = bent[0], *b1 = bent[1], *b2 = bent[2];
  for (std::int64_t block = 0; block < blocks; ++block, b0 += kBlock, b1 += kBlock, b2 += kBlock, kept += kBlock) {
    band[block].curvature += added(kBlock, [&](std::int64_t i) __attribute__((always_inline)) {
      const float both = second_difference(b0[i], b1[i], b2[i]);
      return both * both;
    });
    band[block].level += added(kBlock, [&](std::int64_t i) __attribute__((always_inline)) { return kept[i]; });
  }
}

Bends across(const float* const z[5], std::int64_t n) {
  const float *a = z[0], *b = z[1], *c = z[2], *d = z[3], *e = z[4];
  return {added(n, [&](std::int64_t i)
                       __attribute__((always_inline)) { return magnitude(third_difference(a[i], b[i], c[i], d[i])); }),
          added(n, [&](std::int64_t i) __attribute__((always_inline)) {
            return magnitude(fourth_difference(a[i], b[i], c[i], d[i], e[i]));
          })};
}

Details haar(const float* upper, const float* lower, std::int64_t half, float* mean, float* __restrict scratch) {
  float *const across = scratch, *const down = scratch + half, *const both = scratch + 2 * half;
  float* const means = scratch + 3 * half;
  for (std::int64_t i = 0; i < half; ++i) {
    const float a = upper[2 * i], b = upper[2 * i + 1], c = lower[2 * i], d = lower[2 * i + 1];
    means[i] = 0.5f * ((a + b) + (c + d));
    across[i] = 0.5f * ((a - b) + (c - d));
    down[i] = 0.5f * ((a + b) - (c + d));
    both[i] = 0.5f * ((a - b) - (c - d));
  }
  __builtin_memcpy(mean, means, static_cast<std::size_t>(half) * sizeof *mean);
  return {squares(across, half) + squares(down, half), squares(both, half)};
}

}  // namespace

extern const TextureLoops PHOTOPEAK_TEXTURE_LOOPS;
const TextureLoops PHOTOPEAK_TEXTURE_LOOPS = {roots, along, curvature, across, haar};

}  // namespace photopeak
