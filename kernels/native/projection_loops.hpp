// The inner loops of projectors, compiled once for each instruction set and chosen at the first call.
#pragma once

#include <cstdint>

namespace photopeak {

// The rays of one line, and the planes that they cross.
struct LineOfRays {
  const float *a, *a_step, *b, *b_step;
  const std::int32_t *begin, *end;
  std::int64_t length, stride, a_stride;
  float a_high, b_high;  // positions of the margin's last elements
};

// A matrix and its transpose, each with its own distance between rows.
struct Transposition {
  std::int64_t rows, columns, stride, transposed_stride;
};

struct ProjectionLoops {
  const char* name;
  // Writes the sum of samples along each ray.
  void (*sum)(const LineOfRays& rays, const float* volume, float* sums);
  // Adds what rays bring to one plane.
  void (*spread)(const LineOfRays& rays, std::int32_t plane, const float* values, float* volume);
  void (*transpose)(const Transposition& shape, const float* from, float* to);
  // From the transpose, which is written or added.
  void (*transpose_back)(const Transposition& shape, const float* from, float* to, bool add);
};

extern const ProjectionLoops projection_loops_baseline;
#ifdef PHOTOPEAK_X86_LOOPS
extern const ProjectionLoops projection_loops_avx2;
extern const ProjectionLoops projection_loops_avx512;
#endif

// The fastest loops that this processor runs; PHOTOPEAK_SIMD=baseline|avx2|avx512 narrows the choice.
const ProjectionLoops& projection_loops();

}  // namespace photopeak
