// From the tiles of one frame to the frame, on the CPU.
#pragma once

#include "frame_operations.hpp"

namespace photopeak {

struct FinishJob {
  const float* tiles;  // of one frame
  const Layout* layout;
  Shape shape;
};

// Puts the tiles together, scales the frame so that it keeps what it should, and notes its sums.
void finish_frame(const FinishJob& job, const Finishing& finishing, std::int64_t frame, float* out, Totals totals,
                  int threads);

}  // namespace photopeak
