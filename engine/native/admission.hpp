// What a session has to know of frames before it runs them, from one pass over memory.
#pragma once

#include "frame_operations.hpp"

namespace photopeak {

struct Admission {
  float least;          // of all pixels
  std::int64_t misfit;  // the first frame whose pixels are not all finite; -1 when there is none
};

// The sums do not depend on the number of threads.
Admission admit(const float* frames, Shape shape, double* sums, int threads);

}  // namespace photopeak
