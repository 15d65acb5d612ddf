// The GPU twin of variation_cpu.cpp: the same bodies, a thread for each voxel, results back in host memory.
#include "gpu_device.hpp"
#include "variation_portable.hpp"

namespace photopeak {

Moves cuda_variation_step(const Box& box, const Iterates& iterates, const float* slope, const VariationStep& step,
                          bool moves) {
  need_device();
  return portable_step<Gpu>(box, iterates, slope, step, moves);
}

Measures cuda_measure_variation(const Box& box, const float* value, const float* flow, const float* slope,
                                const float* weight) {
  need_device();
  return portable_measure<Gpu>(box, value, flow, slope, weight);
}

}  // namespace photopeak
