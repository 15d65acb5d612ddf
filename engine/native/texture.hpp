// What the noise and the detail of a frame look like, octave by octave: the sums behind the features of the training
// domain.
#pragma once

#include <cstdint>

#include "frame_operations.hpp"

namespace photopeak {

constexpr int kOctaves = 4, kQuantiles = 3;
constexpr double kDispersionAt[kQuantiles] = {0.1, 0.5, 0.9};

// Of one frame. The details are sums of squares over the coefficients of an orthonormal Haar transform of
// z = 2 sqrt(x + 3/8), octave by octave, finest first.
struct Texture {
  double detail[kOctaves];    // across rows and across columns
  double diagonal[kOctaves];  // differences of differences
  double blocks[kOctaves];    // how many an octave has of diagonal ones; it has twice as many others
  // Variance over mean of blocks of pixels, as the second differences along both axes see it: 1 for Poisson noise on
  // whatever is smooth, more where there is structure. Those of the blocks at the quantiles.
  double dispersion[kQuantiles];
};

// Where to put, for each frame, the sums of the magnitudes of the third and then of the fourth differences of z: along
// the rows, one for each column, and along the columns, one for each row; 0 for the two at either end. Interpolated
// pixels make one of them periodic at least.
struct Profiles {
  float* columns;
  float* rows;
};

// Pixels that are negative or not finite count as 0. The sums do not depend on the number of threads.
void texture(const float* frames, Shape shape, Texture* out, Profiles profiles, int threads);

}  // namespace photopeak
