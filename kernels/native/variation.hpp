// Passes over a volume and over views that the primal-dual solver is made of.
#pragma once

#include <cstdint>
#include <vector>

#include "variation_body.hpp"

namespace photopeak {

// Slices, rows and columns of a C-contiguous volume.
struct Box {
  std::int64_t slices, rows, columns;
  std::int64_t plane() const { return rows * columns; }
  std::int64_t size() const { return slices * plane(); }
};

// The iterates of the solver. `flow` holds three volumes, the dual iterate along z, y and x, and 0 where an axis ends.
struct Iterates {
  float *value, *leading, *flow;
};

// Squares of the changes of one step, summed.
struct Moves {
  double primal, dual;
};

struct Measures {
  double variation;  // of the primal iterate
  double above;      // what the dual iterates leave to gain inside a box of height 1
};

// One step of the dual iterate, then of the primal one, in one visit to memory: reads six volumes and writes five.
// `slope` is that of the data term, the back projection of its dual iterate. Moves are found only when asked for.
Moves variation_step(const Box& box, const Iterates& iterates, const float* slope, const VariationStep& step,
                     bool moves, std::int64_t threads);

Measures measure_variation(const Box& box, const float* value, const float* flow, const float* slope,
                           const float* weight, std::int64_t threads);

// The same on a GPU, and by the GPU's code on the processor, which is slow and for tests. Without a GPU: DeviceError.
Moves cuda_variation_step(const Box& box, const Iterates& iterates, const float* slope, const VariationStep& step,
                          bool moves);
Measures cuda_measure_variation(const Box& box, const float* value, const float* flow, const float* slope,
                                const float* weight);
Moves host_variation_step(const Box& box, const Iterates& iterates, const float* slope, const VariationStep& step,
                          bool moves);
Measures host_measure_variation(const Box& box, const float* value, const float* flow, const float* slope,
                                const float* weight);

// Ascent of the data term's dual iterate q, where the model expects `mean`; steps are step * inverse[i].
void poisson_step(float* q, const float* mean, const float* counts, const float* inverse, float step, float relaxation,
                  std::int64_t n, std::int64_t threads);
void gaussian_step(float* q, const float* mean, const float* measured, const float* variance, const float* inverse,
                   float step, float relaxation, std::int64_t n, std::int64_t threads);

// value = min(value * ratio * inverse, upper), and the same as before where inverse is 0: a step of expectation
// maximisation.
void multiply(float* value, const float* ratio, const float* inverse, float upper, std::int64_t n,
              std::int64_t threads);

// Which instruction set the loops use here.
const char* variation_loops_name();

}  // namespace photopeak
