// What a build without a CUDA compiler answers.
#include "projection.hpp"

namespace photopeak {

#ifndef PHOTOPEAK_WITH_CUDA
std::unique_ptr<Projection> cuda_projection(const VolumeGrid&, const std::vector<Detector>&) {
  throw DeviceError("this build has no CUDA code; use the CPU or install a build made with a CUDA compiler.");
}
#endif

}  // namespace photopeak
