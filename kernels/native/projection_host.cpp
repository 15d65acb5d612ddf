// The bodies of the CUDA code, called by the processor: slow, and what tests compare with the fast loops where there is
// no GPU.
#include "camera_portable.hpp"
#include "host_device.hpp"
#include "projection_portable.hpp"

namespace photopeak {

std::unique_ptr<Projection> host_projection(const VolumeGrid& grid, const std::vector<Detector>& detectors) {
  return std::make_unique<PortableProjection<Host>>(grid, detectors);
}

std::unique_ptr<Projection> host_camera(const VolumeGrid& grid, const std::vector<Detector>& detectors,
                                        const Camera& camera, const float* attenuation) {
  return std::make_unique<PortableCamera<Host>>(grid, detectors, camera, attenuation);
}

}  // namespace photopeak
