// Projectors and cameras on a GPU: a thread for each ray, voxel or element, results back in host memory.
#include "camera_portable.hpp"
#include "gpu_device.hpp"
#include "projection_portable.hpp"

namespace photopeak {

std::unique_ptr<Projection> cuda_projection(const VolumeGrid& grid, const std::vector<Detector>& detectors) {
  need_device();
  return std::make_unique<PortableProjection<Gpu>>(grid, detectors);
}

std::unique_ptr<Projection> cuda_camera(const VolumeGrid& grid, const std::vector<Detector>& detectors,
                                        const Camera& camera, const float* attenuation) {
  need_device();
  return std::make_unique<PortableCamera<Gpu>>(grid, detectors, camera, attenuation);
}

}  // namespace photopeak
