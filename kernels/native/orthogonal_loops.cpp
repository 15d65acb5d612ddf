// Compiled several times, with PHOTOPEAK_LOOPS naming the table to fill. Uses nothing of the standard library: an
// inline function compiled for AVX-512 here could replace the portable copy that the linker finds elsewhere.
#include "orthogonal_loops.hpp"

#include "projection_vectors.hpp"

namespace photopeak {
namespace {

PHOTOPEAK_INLINE float total_of(Floats values) {
  float lanes[kLanes];
  store(lanes, values);
  for (int half = kLanes / 2; half > 0; half /= 2)
    for (int lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  return lanes[0];
}

// The columns of kCount registers, whose sums stay in registers over all rows.
template <int kCount>
PHOTOPEAK_INLINE void sum_block(const float* slice, std::int64_t rows, std::int64_t columns, float* of_rows,
                                float* of_columns) {
  Floats sums[kCount] = {};
  for (std::int64_t row = 0; row < rows; ++row) {
    const float* const from = slice + row * columns;
    Floats across{};
    for (int i = 0; i < kCount; ++i) {
      const Floats values = load<Floats>(from + i * kLanes);
      sums[i] += values;
      across += values;
    }
    of_rows[row] += total_of(across);
  }
  for (int i = 0; i < kCount; ++i) store(of_columns + i * kLanes, sums[i]);
}

void sum(const float* slice, std::int64_t rows, std::int64_t columns, float* of_rows, float* of_columns) {
  constexpr int kBlock = 8;
  for (std::int64_t row = 0; row < rows; ++row) of_rows[row] = 0.0f;
  std::int64_t column = 0;
  for (; column + kBlock * kLanes <= columns; column += kBlock * kLanes)
    sum_block<kBlock>(slice + column, rows, columns, of_rows, of_columns + column);
  for (; column + kLanes <= columns; column += kLanes)
    sum_block<1>(slice + column, rows, columns, of_rows, of_columns + column);
  for (; column < columns; ++column) {
    float sum = 0.0f;
    for (std::int64_t row = 0; row < rows; ++row) {
      const float value = slice[row * columns + column];
      sum += value;
      of_rows[row] += value;
    }
    of_columns[column] = sum;
  }
}

void add(const float* from, std::int64_t n, float* to) {
  for (std::int64_t i = 0; i < n; ++i) to[i] += from[i];
}

void spread(const float* of_rows, const float* of_columns, const float* both, std::int64_t rows, std::int64_t columns,
            float* slice) {
  for (std::int64_t row = 0; row < rows; ++row) {
    float* const to = slice + row * columns;
    const float value = of_rows[row];
    for (std::int64_t column = 0; column < columns; ++column) to[column] = value + of_columns[column];
    if (both) add(both + row * columns, columns, to);
  }
}

}  // namespace

extern const OrthogonalLoops PHOTOPEAK_LOOPS;
const OrthogonalLoops PHOTOPEAK_LOOPS{sum, add, spread};

}  // namespace photopeak
