// Lines of rays that run along lines of voxels, as those of an upright detector do: all rays of such a line cross a
// plane at the same place along a, and at equal distances along b. Interpolation is then two that are contiguous in
// memory.
#pragma once

#include <cstdint>

namespace photopeak {

// Rays are at (a + k * a_step, b + i * spacing) in plane k, with b and spacing linear in k too.
struct UprightLine {
  double a, a_step, b, b_step, spacing, spacing_step;
  std::int64_t begin, end;        // planes
  std::int64_t length, b_size;    // rays, voxels along b
  std::int64_t stride, a_stride;  // of planes and along a
  bool parallel() const { return b_step == 0 && spacing_step == 0; }
};

// Zeros before and after what loops read.
constexpr std::int64_t kUprightMargin = 64;

// `volume` is the element of plane 0 at the margin's first place along a and at voxel 0 along b. `values` and `sums` of
// a line and `voxels` of a line have kUprightMargin more elements before and after; those that are read are zero.
struct UprightLoops {
  // Writes the sum of samples along each ray; clobbers `voxels`.
  void (*sum)(const UprightLine& line, const float* volume, float* voxels, float* sums);
  // Writes what the rays bring to a line of voxels in plane k.
  void (*gather)(const UprightLine& line, std::int64_t plane, const float* values, float* voxels);
  // Adds a line of voxels to the two neighbours in plane k.
  void (*share)(const UprightLine& line, std::int64_t plane, const float* voxels, float* volume);
};

extern const UprightLoops upright_loops_baseline;
#ifdef PHOTOPEAK_X86_LOOPS
extern const UprightLoops upright_loops_avx2;
extern const UprightLoops upright_loops_avx512;
#endif

const UprightLoops& upright_loops();

}  // namespace photopeak
