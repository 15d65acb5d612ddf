// Sums of a volume along its own axes, and what spreads them back, compiled once for each instruction set.
#pragma once

#include <cstdint>

namespace photopeak {

struct OrthogonalLoops {
  // Writes the sum of each row and of each column of a slice, in one pass over it.
  void (*sum)(const float* slice, std::int64_t rows, std::int64_t columns, float* of_rows, float* of_columns);
  void (*add)(const float* from, std::int64_t n, float* to);
  // Writes one value for each row and one for each column, added, and adds a slice unless it is null.
  void (*spread)(const float* of_rows, const float* of_columns, const float* both, std::int64_t rows,
                 std::int64_t columns, float* slice);
};

extern const OrthogonalLoops orthogonal_loops_baseline;
#ifdef PHOTOPEAK_X86_LOOPS
extern const OrthogonalLoops orthogonal_loops_avx2;
extern const OrthogonalLoops orthogonal_loops_avx512;
#endif

const OrthogonalLoops& orthogonal_loops();

}  // namespace photopeak
