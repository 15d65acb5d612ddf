// A growing Gaussian, built up from short kernels.
#pragma once

#include <vector>

#include "camera_frame.hpp"

namespace photopeak {

// Kernels that follow each other along one axis. Each is the one that takes what the kernels so far make of a point
// nearest, in least squares, to the Gaussian that is due: errors do not add up, they are made good by the next.
class GrowingGaussian {
 public:
  GrowingGaussian() : made_{1.0} {}

  // Writes the weights of a kernel that brings the variance to so much [voxels^2].
  void grow(double variance, float* weights);

 private:
  std::vector<double> made_;  // of a point, from the middle outwards
};

// The same along the lines of a plane and across.
class BlurSeries {
 public:
  BlurSeries(double across_mm, double along_mm) : across_mm_(across_mm), along_mm_(along_mm) {}

  // Kernels that bring the variance to so much [mm^2]; none if it is not above what there is.
  std::vector<Blur> next(double variance);

 private:
  double across_mm_, along_mm_, variance_ = 0;
  GrowingGaussian across_, along_;
};

}  // namespace photopeak
