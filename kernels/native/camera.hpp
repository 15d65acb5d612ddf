// A gamma camera with a parallel-hole collimator: what attenuation leaves of each plane, blurred by its distance.
#pragma once

#include "projection.hpp"

namespace photopeak {

// Resolution grows with the distance from the collimator: intrinsic^2 + (at_face + slope * distance)^2.
struct Camera {
  double intrinsic, at_face;  // full widths at half maximum [mm]
  double slope;               // of the collimator's width [mm/mm]
  double efficiency;          // what a pixel gets of activity x mm
};

// Attenuation, per mm, is [z][y][x] like the volume, or null. The detectors have rows or columns along z, no cone.
std::unique_ptr<Projection> cpu_camera(const VolumeGrid& grid, const std::vector<Detector>& detectors,
                                       const Camera& camera, const float* attenuation);

// The code of the GPU on the CPU: slow, for tests.
std::unique_ptr<Projection> host_camera(const VolumeGrid& grid, const std::vector<Detector>& detectors,
                                        const Camera& camera, const float* attenuation);

// Throws DeviceError when there is no device that runs.
std::unique_ptr<Projection> cuda_camera(const VolumeGrid& grid, const std::vector<Detector>& detectors,
                                        const Camera& camera, const float* attenuation);

}  // namespace photopeak
