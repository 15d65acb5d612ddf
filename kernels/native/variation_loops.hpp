// The inner loops over a row of voxels or pixels, compiled once for each instruction set.
#pragma once

#include <cstdint>

#include "variation_body.hpp"

namespace photopeak {

// Sums are kept in sixteen lanes, whatever the machine has: the order of additions is then the same everywhere.
constexpr std::int64_t kLanes = 16;

// One row of a volume and its neighbours; beyond the border, a neighbour is the row itself or a row of zeros.
struct VariationRow {
  float *value, *leading;        // the primal iterate and its extrapolation
  const float *down, *next;      // of the extrapolation, one row and one slice further
  float *z, *y, *x;              // the dual iterate
  const float *from_z, *from_y;  // the dual iterate, one slice and one row back
  const float* slope;            // of the data term
  std::int64_t length;
};

struct RowMoves {
  double primal, dual;  // squares of the changes, summed
};

struct RowMeasures {
  double variation;  // of the primal iterate
  double above;      // what the dual iterates leave to gain inside a box of height 1
};

struct MeasuredRow {
  const float *value, *down, *next, *z, *y, *x, *from_z, *from_y, *slope;
  std::int64_t length;
};

struct VariationLoops {
  const char* name;
  void (*dual)(const VariationRow&, const VariationStep&);
  double (*dual_moves)(const VariationRow&, const VariationStep&);
  void (*primal)(const VariationRow&, const VariationStep&);
  double (*primal_moves)(const VariationRow&, const VariationStep&);
  RowMeasures (*measure)(const MeasuredRow&, const float* weight);
  void (*poisson)(float* q, const float* mean, const float* counts, const float* inverse, float step, float relaxation,
                  std::int64_t n);
  void (*gaussian)(float* q, const float* mean, const float* measured, const float* variance, const float* inverse,
                   float step, float relaxation, std::int64_t n);
  void (*multiply)(float* value, const float* ratio, const float* inverse, float upper, std::int64_t n);
};

}  // namespace photopeak
