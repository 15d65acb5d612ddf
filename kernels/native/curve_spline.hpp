// Splines, their shadows, and how residuals count.
#pragma once

#include <algorithm>
#include <cmath>

#include "curve_model.hpp"

// Compiled for plain x86-64 and for AVX2, chosen when the module loads. No sum is reordered, so both give the same
// bits.
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define PHOTOPEAK_CLONES __attribute__((target_clones("default", "avx2")))
#else
#define PHOTOPEAK_CLONES
#endif

namespace photopeak::curve {

struct Basis {
  double value[4], slope[4];
};

inline Basis basis(double t) {
  const double s = 1 - t, t2 = t * t;
  return {{s * s * s / 6, (3 * t2 * t - 6 * t2 + 4) / 6, (-3 * t2 * t + 3 * t2 + 3 * t + 1) / 6, t2 * t / 6},
          {-s * s / 2, (3 * t2 - 4 * t) / 2, (-3 * t2 + 2 * t + 1) / 2, t2 / 2}};
}

struct Sample {
  Vec at, along;  // position, derivative by the parameter
};

inline Sample sample(const Points& controls, int span, const Basis& b) {
  Sample s{{0, 0, 0}, {0, 0, 0}};
  for (int j = 0; j < 4; ++j)
    for (int k = 0; k < 3; ++k) {
      s.at[k] += b.value[j] * controls[span + j][k];
      s.along[k] += b.slope[j] * controls[span + j][k];
    }
  return s;
}

inline double norm(const Vec& v) { return std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]); }

struct Seen {
  double row, column;
  double by[2][3];  // derivative of (row, column) by (x, y, z)
};

inline Seen project(const View& view, const Vec& p) {
  double h[3];
  for (int i = 0; i < 3; ++i)
    h[i] = view.projection[i][0] * p[0] + view.projection[i][1] * p[1] + view.projection[i][2] * p[2] +
           view.projection[i][3];
  Seen seen;
  const double inverse = 1 / h[2];
  seen.row = h[0] * inverse;
  seen.column = h[1] * inverse;
  for (int k = 0; k < 3; ++k) {
    seen.by[0][k] = (view.projection[0][k] - seen.row * view.projection[2][k]) * inverse;
    seen.by[1][k] = (view.projection[1][k] - seen.column * view.projection[2][k]) * inverse;
  }
  return seen;
}

struct Box {
  int top, bottom, left, right;
};

inline Box box(const View& view, const Seen& seen, double support) {
  return {std::max(0, static_cast<int>(std::ceil(seen.row - support))),
          std::min(view.rows - 1, static_cast<int>(std::floor(seen.row + support))),
          std::max(0, static_cast<int>(std::ceil(seen.column - support))),
          std::min(view.columns - 1, static_cast<int>(std::floor(seen.column + support)))};
}

constexpr double kHuber = 4.0;  // standard deviations

// Half the squared residual, linear far out; what is not explained yet saturates if the curve is known to be partial.
inline double rho(double z, double reach, double* weight) {
  if (z > 0 && reach > 0) {
    const double w = std::exp(-z * z / (2 * reach));
    if (weight) *weight = w;
    return reach * (1 - w);
  }
  const double a = std::fabs(z);
  if (a <= kHuber) {
    if (weight) *weight = 1;
    return 0.5 * z * z;
  }
  if (weight) *weight = kHuber / a;
  return kHuber * (a - 0.5 * kHuber);
}

}  // namespace photopeak::curve
