#include "admission.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include "frame_loops.hpp"
#include "frame_parallel.hpp"

namespace photopeak {

Admission admit(const float* frames, Shape shape, double* sums, int threads) {
  const std::int64_t n = shape.pixels(), per_frame = pieces(n, kChunk);
  const LeastAndSum nothing{{}, std::numeric_limits<float>::infinity()};
  std::vector<LeastAndSum> found(static_cast<std::size_t>(shape.frames * per_frame), nothing);
  parallel_for(shape.frames * per_frame, shape.size(), threads, [&](std::int64_t i) {
    const std::int64_t begin = i % per_frame * kChunk;
    loops().least_and_sum(frames + i / per_frame * n + begin, std::min(n - begin, kChunk), &found[i]);
  });
  Admission admission{nothing.least, -1};
  for (std::int64_t frame = 0; frame < shape.frames; ++frame) {
    sums[frame] = 0.0;
    for (std::int64_t i = frame * per_frame; i < (frame + 1) * per_frame; ++i) {
      for (const double lane : found[i].sum) sums[frame] += lane;
      admission.least = std::min(admission.least, found[i].least);
    }
    // Float32 values that are finite have a finite sum.
    if (admission.misfit < 0 && !std::isfinite(sums[frame])) admission.misfit = frame;
  }
  return admission;
}

}  // namespace photopeak
