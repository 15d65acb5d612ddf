// OpenMP around a loop whose pieces do not depend on the number of threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <exception>
#include <utility>

namespace photopeak {

inline std::int64_t pieces(std::int64_t n, std::int64_t size) { return (n + size - 1) / size; }

// Calls body(0) ... body(count - 1), in any order, with at most so many threads.
template <class Body>
void parallel_for(std::int64_t count, std::int64_t threads, Body&& body) {
#ifdef _OPENMP
  const int team = static_cast<int>(std::min(threads, count));
  if (team > 1) {
    std::exception_ptr failure;  // leaving the parallel region with it would end the process
    std::int64_t failed = count;
#pragma omp parallel for num_threads(team) schedule(dynamic)
    for (std::int64_t i = 0; i < count; ++i) {
      try {
        body(i);
      } catch (...) {
#pragma omp critical(photopeak_failure)
        if (i < failed) {  // the one that a single thread would meet
          failed = i;
          failure = std::current_exception();
        }
      }
    }
    if (failure) std::rethrow_exception(failure);
    return;
  }
#endif
  static_cast<void>(threads);
  for (std::int64_t i = 0; i < count; ++i) body(i);
}

}  // namespace photopeak
