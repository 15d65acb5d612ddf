// The inner loops of texture.cpp, compiled once for each instruction set and chosen at the first call.
#pragma once

#include <cstdint>

namespace photopeak {

// Curvature and counts of a square of pixels.
struct Block {
  double curvature = 0.0, level = 0.0;
};

constexpr std::int64_t kBlock = 16;

// Of a row: sums of the magnitudes of the third and of the fourth differences.
struct Bends {
  double third, fourth;
};

// Of a pair of rows: sums of the squares of the Haar coefficients.
struct Details {
  double single, diagonal;
};

struct TextureLoops {
  // Writes the counts of n pixels, 0 for what is none, and z = 2 sqrt(x + 3/8).
  void (*roots)(const float* pixels, std::int64_t n, float* kept, float* z);
  // Writes the second differences of the counts along a row, and adds the magnitudes of the others of z.
  void (*along)(const float* kept, const float* z, std::int64_t n, float* bent, float* third, float* fourth);
  // Adds a row of pixels to its blocks; `bent` are its own second differences and those of its neighbours.
  void (*curvature)(const float* const bent[3], const float* kept, std::int64_t blocks, Block* band);
  // Of five rows of z.
  Bends (*across)(const float* const z[5], std::int64_t n);
  // Writes half a row of means, also over the rows themselves; scratch holds four times as many floats.
  Details (*haar)(const float* upper, const float* lower, std::int64_t half, float* mean, float* scratch);
};

extern const TextureLoops texture_loops_baseline;
#ifdef PHOTOPEAK_X86_LOOPS
extern const TextureLoops texture_loops_avx2;
extern const TextureLoops texture_loops_avx512;
#endif

// The fastest loops that this processor runs; see loops().
const TextureLoops& texture_loops();

}  // namespace photopeak
