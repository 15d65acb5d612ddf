// Threads for frames: as many as pay.
#pragma once

#include "parallel.hpp"

namespace photopeak {

// Pixels that pay for one more thread: waking it may take longer than the work on a small frame.
constexpr std::int64_t kPixelsForThread = 1 << 18;

constexpr std::int64_t kChunk = 1 << 15;  // pixels in a piece of work

// Calls body(0) ... body(count - 1), which together visit so many pixels.
template <class Body>
void parallel_for(std::int64_t count, std::int64_t pixels, int threads, Body&& body) {
  parallel_for(count, std::min<std::int64_t>(threads, 1 + pixels / kPixelsForThread), std::forward<Body>(body));
}

}  // namespace photopeak
