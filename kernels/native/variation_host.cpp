// The bodies of the CUDA code, called by the processor: what tests compare with the fast loops where there is no GPU.
#include "host_device.hpp"
#include "variation_portable.hpp"

namespace photopeak {

Moves host_variation_step(const Box& box, const Iterates& iterates, const float* slope, const VariationStep& step,
                          bool moves) {
  return portable_step<Host>(box, iterates, slope, step, moves);
}

Measures host_measure_variation(const Box& box, const float* value, const float* flow, const float* slope,
                                const float* weight) {
  return portable_measure<Host>(box, value, flow, slope, weight);
}

#ifndef PHOTOPEAK_WITH_CUDA
Moves cuda_variation_step(const Box&, const Iterates&, const float*, const VariationStep&, bool) {
  throw DeviceError("this build has no CUDA code; use the CPU or install a build made with a CUDA compiler.");
}

Measures cuda_measure_variation(const Box&, const float*, const float*, const float*, const float*) {
  throw DeviceError("this build has no CUDA code; use the CPU or install a build made with a CUDA compiler.");
}
#endif

}  // namespace photopeak
