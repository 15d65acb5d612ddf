// What a build without a CUDA compiler answers.
#include "camera.hpp"

namespace photopeak {

#ifndef PHOTOPEAK_WITH_CUDA
namespace {

[[noreturn]] void refuse() {
  throw DeviceError("this build has no CUDA code; use the CPU or install a build made with a CUDA compiler.");
}

}  // namespace

std::unique_ptr<Projection> cuda_projection(const VolumeGrid&, const std::vector<Detector>&) { refuse(); }

std::unique_ptr<Projection> cuda_camera(const VolumeGrid&, const std::vector<Detector>&, const Camera&, const float*) {
  refuse();
}
#endif

}  // namespace photopeak
