// What happens to one voxel or pixel in a step of the primal-dual solver: the arithmetic that CPU and CUDA code share.
//
// Compiled without contraction to fused multiply-add, so that every instruction set and device gives the same bits.
#pragma once

#include <math.h>

// Always inlined and never shared between translation units, which are compiled for several instruction sets.
#ifdef __CUDACC__
#define PHOTOPEAK_VOXEL static __host__ __device__ __forceinline__
#else
#define PHOTOPEAK_VOXEL static inline __attribute__((always_inline))
#endif

namespace photopeak {

// One step; `ascent` is the dual step times the weight of the differences along z, y and x.
struct VariationStep {
  float ascent[3];
  float weight[3];
  float radius;      // of the dual balls: the regularisation
  float descent;     // the primal step
  float upper;       // of the box, at least 0; infinity is none
  float relaxation;  // 1 is none
};

struct Flow {
  float z, y, x;
};

PHOTOPEAK_VOXEL float larger(float a, float b) { return a > b ? a : b; }
PHOTOPEAK_VOXEL float smaller(float a, float b) { return a < b ? a : b; }

// Ascent along the gradient, projection onto the ball, over-relaxation.
PHOTOPEAK_VOXEL Flow ascended(Flow p, float dz, float dy, float dx, const VariationStep& step) {
  const float z = p.z + step.ascent[0] * dz, y = p.y + step.ascent[1] * dy, x = p.x + step.ascent[2] * dx;
  const float length = sqrtf(z * z + y * y + x * x);
  const float shrink = length > step.radius ? step.radius / length : 1.0f;
  const float r = step.relaxation;
  return {p.z + r * (shrink * z - p.z), p.y + r * (shrink * y - p.y), p.x + r * (shrink * x - p.x)};
}

// What leaves a voxel along one axis, and what comes from its predecessor.
PHOTOPEAK_VOXEL float divergence(float z, float from_z, float y, float from_y, float x, float from_x,
                                 const VariationStep& step) {
  return step.weight[0] * (z - from_z) + step.weight[1] * (y - from_y) + step.weight[2] * (x - from_x);
}

PHOTOPEAK_VOXEL float descended(float value, float slope, const VariationStep& step) {
  return smaller(larger(value - step.descent * slope, 0.0f), step.upper);
}

PHOTOPEAK_VOXEL float variation_of(float dz, float dy, float dx, const float* weight) {
  dz *= weight[0];
  dy *= weight[1];
  dx *= weight[2];
  return sqrtf(dz * dz + dy * dy + dx * dx);
}

// The proximal map of the conjugate of mean - counts log(mean), stable on either side of 1.
PHOTOPEAK_VOXEL float poisson_ascended(float q, float mean, float counts, float step) {
  const float below = 1.0f - q - step * mean;
  const float root = sqrtf(below * below + 4.0f * step * counts);
  if (below > 0.0f) return 1.0f - 0.5f * (below + root);
  const float sum = root - below;
  return 1.0f - (sum > 0.0f ? 2.0f * step * counts / sum : 0.0f);
}

// The same of weight / 2 (mean - measured)^2, written with the variance, which may not be 0.
PHOTOPEAK_VOXEL float gaussian_ascended(float q, float mean, float measured, float variance, float step) {
  return (q + step * (mean - measured)) / (1.0f + step * variance);
}

}  // namespace photopeak
