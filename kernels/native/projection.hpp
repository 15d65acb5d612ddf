// What the rays of several detectors see of one volume, and the transpose of that: one interface, a CPU and a CUDA
// implementation.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "errors.hpp"

// Marks what device code may call too; nothing for other compilers.
#ifdef __CUDACC__
#define PHOTOPEAK_DEVICE __host__ __device__
#else
#define PHOTOPEAK_DEVICE
#endif

namespace photopeak {

// Axes are counted x, y, z here. In memory a volume is [z][y][x].
struct VolumeGrid {
  std::int64_t size[3];
  double spacing[3], first[3];  // first: the centre of voxel 0, 0, 0 [mm]
  std::int64_t voxels() const { return size[0] * size[1] * size[2]; }
};

// Rays run through the centres of pixels, in one direction or from one point. In memory an image is [row][column].
struct Detector {
  std::int64_t rows, columns;
  double first[3], right[3], down[3];  // the centre of pixel 0, 0, and the steps to the next column and row [mm]
  bool cone;
  double origin[3];  // the focal spot of a cone beam [mm], or the direction of parallel rays
  std::int64_t pixels() const { return rows * columns; }
};

class Projection {
 public:
  virtual ~Projection() = default;

  // One image for each detector.
  virtual void forward(const float* volume, float* const* images, int threads) const = 0;

  // The transpose, with the same bits for any number of threads.
  virtual void adjoint(const float* const* images, float* volume, int threads) const = 0;
};

std::unique_ptr<Projection> cpu_projection(const VolumeGrid& grid, const std::vector<Detector>& detectors);

// The code of the GPU on the CPU: slow, for tests.
std::unique_ptr<Projection> host_projection(const VolumeGrid& grid, const std::vector<Detector>& detectors);

// Throws DeviceError when there is no device that runs.
std::unique_ptr<Projection> cuda_projection(const VolumeGrid& grid, const std::vector<Detector>& detectors);

}  // namespace photopeak
