// Compiled several times, with PHOTOPEAK_LOOPS naming the table to fill. Uses nothing of the standard library but
// sqrtf, which is one instruction: an inline function compiled for AVX-512 here could replace the portable copy
// elsewhere.
#include "variation_loops.hpp"

namespace photopeak {
namespace {

constexpr std::int64_t kChunk = 512;  // values that are summed after a loop has written them

// Sixteen partial sums of doubles, added in a fixed order.
struct LaneSum {
  double lane[kLanes] = {};

  void add(const float* values, std::int64_t n) {
    std::int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes)
      for (std::int64_t l = 0; l < kLanes; ++l) lane[l] += static_cast<double>(values[i + l]);
    for (std::int64_t l = 0; i + l < n; ++l) lane[l] += static_cast<double>(values[i + l]);
  }
  double total() const {
    double sum = 0.0;
    for (const double part : lane) sum += part;
    return sum;
  }
};

// The part first..last-1 of a row, all of it except its last column, which has no difference along x.
template <bool moved>
void ascend(const VariationRow& row, const VariationStep& step, std::int64_t first, std::int64_t last, float* moves) {
  const float *leading = row.leading, *down = row.down, *next = row.next;
  float* __restrict pz = row.z, * __restrict py = row.y, * __restrict px = row.x;
#pragma GCC ivdep
  for (std::int64_t i = first; i < last; ++i) {
    const float here = leading[i];
    const Flow old{pz[i], py[i], px[i]};
    const Flow p = ascended(old, next[i] - here, down[i] - here, leading[i + 1] - here, step);
    pz[i] = p.z;
    py[i] = p.y;
    px[i] = p.x;
    if constexpr (moved) {
      const float z = p.z - old.z, y = p.y - old.y, x = p.x - old.x;
      moves[i - first] = z * z + y * y + x * x;
    }
  }
}

template <bool moved>
void ascend_last(const VariationRow& row, const VariationStep& step, float* moves) {
  const std::int64_t i = row.length - 1;
  const float here = row.leading[i];
  const Flow old{row.z[i], row.y[i], row.x[i]};
  const Flow p = ascended(old, row.next[i] - here, row.down[i] - here, 0.0f, step);
  row.z[i] = p.z;
  row.y[i] = p.y;
  row.x[i] = p.x;
  if constexpr (moved) {
    const float z = p.z - old.z, y = p.y - old.y, x = p.x - old.x;
    *moves = z * z + y * y + x * x;
  }
}

void dual(const VariationRow& row, const VariationStep& step) {
  ascend<false>(row, step, 0, row.length - 1, nullptr);
  ascend_last<false>(row, step, nullptr);
}

double dual_moves(const VariationRow& row, const VariationStep& step) {
  float moves[kChunk];
  LaneSum sum;
  for (std::int64_t first = 0; first < row.length - 1; first += kChunk) {
    const std::int64_t n = row.length - 1 - first < kChunk ? row.length - 1 - first : kChunk;
    ascend<true>(row, step, first, first + n, moves);
    sum.add(moves, n);
  }
  ascend_last<true>(row, step, moves);
  sum.add(moves, 1);
  return sum.total();
}

struct Moved {
  float value, leading;
};

PHOTOPEAK_VOXEL Moved descend(float value, float slope, const VariationStep& step) {
  const float found = descended(value, slope, step);
  return {value + step.relaxation * (found - value), 2.0f * found - value};
}

template <bool moved>
void descend_part(const VariationRow& row, const VariationStep& step, std::int64_t first, std::int64_t last,
                  float* moves) {
  const float *slope = row.slope, *from_z = row.from_z, *from_y = row.from_y, *pz = row.z, *py = row.y, *px = row.x;
  float* __restrict value = row.value, * __restrict leading = row.leading;
#pragma GCC ivdep
  for (std::int64_t i = first; i < last; ++i) {
    const float old = value[i];
    const float inflow = divergence(pz[i], from_z[i], py[i], from_y[i], px[i], px[i - 1], step);
    const Moved to = descend(old, slope[i] - inflow, step);
    value[i] = to.value;
    leading[i] = to.leading;
    if constexpr (moved) moves[i - first] = (to.value - old) * (to.value - old);
  }
}

float descend_first(const VariationRow& row, const VariationStep& step) {
  const float old = row.value[0];
  const float inflow = divergence(row.z[0], row.from_z[0], row.y[0], row.from_y[0], row.x[0], 0.0f, step);
  const Moved to = descend(old, row.slope[0] - inflow, step);
  row.value[0] = to.value;
  row.leading[0] = to.leading;
  return (to.value - old) * (to.value - old);
}

void primal(const VariationRow& row, const VariationStep& step) {
  descend_first(row, step);
  descend_part<false>(row, step, 1, row.length, nullptr);
}

double primal_moves(const VariationRow& row, const VariationStep& step) {
  float moves[kChunk];
  LaneSum sum;
  moves[0] = descend_first(row, step);
  sum.add(moves, 1);
  for (std::int64_t first = 1; first < row.length; first += kChunk) {
    const std::int64_t n = row.length - first < kChunk ? row.length - first : kChunk;
    descend_part<true>(row, step, first, first + n, moves);
    sum.add(moves, n);
  }
  return sum.total();
}

RowMeasures measure(const MeasuredRow& row, const float* weight) {
  const VariationStep step{{}, {weight[0], weight[1], weight[2]}, 0.0f, 0.0f, 0.0f, 1.0f};
  float variation[kChunk], above[kChunk];
  LaneSum variations, gains;
  for (std::int64_t first = 0; first < row.length; first += kChunk) {
    const std::int64_t n = row.length - first < kChunk ? row.length - first : kChunk;
    for (std::int64_t k = 0; k < n; ++k) {
      const std::int64_t i = first + k, right = i + 1 < row.length ? i + 1 : i;
      const float here = row.value[i], from_x = i > 0 ? row.x[i - 1] : 0.0f;
      variation[k] = variation_of(row.next[i] - here, row.down[i] - here, row.value[right] - here, weight);
      const float inflow = divergence(row.z[i], row.from_z[i], row.y[i], row.from_y[i], row.x[i], from_x, step);
      above[k] = larger(inflow - row.slope[i], 0.0f);
    }
    variations.add(variation, n);
    gains.add(above, n);
  }
  return {variations.total(), gains.total()};
}

void poisson(float* q, const float* mean, const float* counts, const float* inverse, float step, float relaxation,
             std::int64_t n) {
  float* __restrict out = q;
  for (std::int64_t i = 0; i < n; ++i) {
    const float found = poisson_ascended(out[i], mean[i], counts[i], step * inverse[i]);
    out[i] += relaxation * (found - out[i]);
  }
}

void gaussian(float* q, const float* mean, const float* measured, const float* variance, const float* inverse,
              float step, float relaxation, std::int64_t n) {
  float* __restrict out = q;
  for (std::int64_t i = 0; i < n; ++i) {
    const float found = gaussian_ascended(out[i], mean[i], measured[i], variance[i], step * inverse[i]);
    out[i] += relaxation * (found - out[i]);
  }
}

void multiply(float* value, const float* ratio, const float* inverse, float upper, std::int64_t n) {
  float* __restrict out = value;
  for (std::int64_t i = 0; i < n; ++i) {
    const float found = smaller(out[i] * ratio[i] * inverse[i], upper);
    out[i] = inverse[i] > 0.0f ? found : out[i];
  }
}

}  // namespace

extern const VariationLoops PHOTOPEAK_LOOPS;
const VariationLoops PHOTOPEAK_LOOPS = {
    PHOTOPEAK_LOOPS_NAME, dual, dual_moves, primal, primal_moves, measure, poisson, gaussian, multiply};

}  // namespace photopeak
