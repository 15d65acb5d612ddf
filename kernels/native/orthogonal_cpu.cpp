#include <algorithm>
#include <cmath>

#include "orthogonal.hpp"
#include "orthogonal_loops.hpp"
#include "parallel.hpp"
#include "projection_loops.hpp"

namespace photopeak {
namespace {

constexpr double kExact = 1e-6;  // of a voxel: what rounding moves

// Sums along one axis are an image over the two others. A pixel reads the element at first + row * down + column *
// right of it, as far as row and column lie between the ends.
struct Reading {
  int axis;
  float path;  // through one voxel [mm]
  std::int64_t first, down, right;
  std::int64_t row_begin, row_end, column_begin, column_end;
};

// The steps of a detector along one axis of an image: where pixel 0 is, and whether numbers grow or fall.
struct Steps {
  std::int64_t first, sign, begin, end;
};

bool find_steps(const VolumeGrid& grid, int axis, const double* step, double position, std::int64_t pixels,
                Steps& steps) {
  const double spacing = grid.spacing[axis], at = (position - grid.first[axis]) / spacing;
  if (std::abs(std::abs(step[axis]) / spacing - 1) * static_cast<double>(pixels) > kExact) return false;
  if (std::abs(at - std::round(at)) > kExact || std::abs(at) > 1e9) return false;
  steps.first = std::llround(at), steps.sign = step[axis] > 0 ? 1 : -1;
  // 0 <= first + sign * i < size
  const std::int64_t size = grid.size[axis];
  steps.begin = steps.sign > 0 ? -steps.first : steps.first - size + 1;
  steps.end = steps.sign > 0 ? size - steps.first : steps.first + 1;
  steps.begin = std::clamp<std::int64_t>(steps.begin, 0, pixels);
  steps.end = std::clamp<std::int64_t>(steps.end, steps.begin, pixels);
  return true;
}

// The axis that a vector follows, or -1.
int axis_of(const double* vector) {
  const double length = std::hypot(vector[0], vector[1], vector[2]);
  for (int axis = 0; axis < 3; ++axis)
    if (std::hypot(vector[(axis + 1) % 3], vector[(axis + 2) % 3]) < 1e-9 * length) return axis;
  return -1;
}

bool find_reading(const VolumeGrid& grid, const Detector& detector, Reading& reading) {
  if (detector.cone) return false;
  const int axis = axis_of(detector.origin), right = axis_of(detector.right), down = axis_of(detector.down);
  Steps rows, columns;
  if (axis < 0 || right < 0 || down < 0) return false;
  if (!find_steps(grid, right, detector.right, detector.first[right], detector.columns, columns)) return false;
  if (!find_steps(grid, down, detector.down, detector.first[down], detector.rows, rows)) return false;
  // Sums along x are [z][y], along y [z][x], along z [y][x].
  const int inner = axis == 0 ? 1 : 0;
  const std::int64_t size = grid.size[inner];
  const std::int64_t right_stride = right == inner ? 1 : size, down_stride = down == inner ? 1 : size;
  reading = {axis,
             static_cast<float>(grid.spacing[axis]),
             rows.first * down_stride + columns.first * right_stride,
             rows.sign * down_stride,
             columns.sign * right_stride,
             rows.begin,
             rows.end,
             columns.begin,
             columns.end};
  return true;
}

class Orthogonal final : public Projection {
 public:
  Orthogonal(const VolumeGrid& grid, const std::vector<Detector>& detectors, std::vector<Reading> readings)
      : grid_(grid), detectors_(detectors), readings_(std::move(readings)) {
    for (const Reading& reading : readings_) used_[reading.axis] = true;
  }

  void forward(const float* volume, float* const* images, int most) const override {
    const std::int64_t threads = threads_for(most);
    const auto [columns, rows, slices] = grid_.size;
    Sums sums(*this);
    if (used_[0] || used_[1])
      parallel_for(slices, threads, [&, columns = columns, rows = rows](std::int64_t z) {
        orthogonal_loops().sum(volume + z * rows * columns, rows, columns, &sums.along[0][z * rows],
                               &sums.along[1][z * columns]);
      });
    if (used_[2])
      parallel_for(rows, threads, [&, columns = columns, rows = rows, slices = slices](std::int64_t y) {
        for (std::int64_t z = 0; z < slices; ++z)
          orthogonal_loops().add(volume + (z * rows + y) * columns, columns, &sums.along[2][y * columns]);
      });
    for (std::size_t i = 0; i < readings_.size(); ++i) {
      std::fill_n(images[i], detectors_[i].pixels(), 0.0f);
      each_pixel(i, [&](std::int64_t pixel, std::int64_t at) {
        images[i][pixel] = readings_[i].path * sums.along[readings_[i].axis][at];
      });
    }
  }

  void adjoint(const float* const* images, float* volume, int most) const override {
    const std::int64_t threads = threads_for(most);
    const auto [columns, rows, slices] = grid_.size;
    Sums sums(*this);
    for (std::size_t i = 0; i < readings_.size(); ++i)
      each_pixel(i, [&](std::int64_t pixel, std::int64_t at) {
        sums.along[readings_[i].axis][at] += readings_[i].path * images[i][pixel];
      });
    parallel_for(slices, threads, [&, columns = columns, rows = rows](std::int64_t z) {
      orthogonal_loops().spread(&sums.along[0][z * rows], &sums.along[1][z * columns],
                                used_[2] ? sums.along[2].data() : nullptr, rows, columns, volume + z * rows * columns);
    });
  }

 private:
  struct Sums {
    explicit Sums(const Orthogonal& all) {
      const auto [columns, rows, slices] = all.grid_.size;
      along[0].resize(slices * rows);
      along[1].resize(slices * columns);
      along[2].resize(all.used_[2] ? rows * columns : 0);
    }
    std::vector<float> along[3];
  };

  // Waking a thread takes as long as it takes to add so many voxels.
  std::int64_t threads_for(int most) const { return std::clamp<std::int64_t>(grid_.voxels() >> 18, 1, most); }

  template <class Body>
  void each_pixel(std::size_t i, Body&& body) const {
    const Reading& reading = readings_[i];
    for (std::int64_t row = reading.row_begin; row < reading.row_end; ++row)
      for (std::int64_t column = reading.column_begin; column < reading.column_end; ++column)
        body(row * detectors_[i].columns + column, reading.first + row * reading.down + column * reading.right);
  }

  VolumeGrid grid_;
  std::vector<Detector> detectors_;
  std::vector<Reading> readings_;
  bool used_[3] = {};
};

}  // namespace

const OrthogonalLoops& orthogonal_loops() {
#ifdef PHOTOPEAK_X86_LOOPS
  if (&projection_loops() == &projection_loops_avx512) return orthogonal_loops_avx512;
  if (&projection_loops() == &projection_loops_avx2) return orthogonal_loops_avx2;
#endif
  return orthogonal_loops_baseline;
}

std::unique_ptr<Projection> orthogonal_projection(const VolumeGrid& grid, const std::vector<Detector>& detectors) {
  std::vector<Reading> readings(detectors.size());
  for (std::size_t i = 0; i < detectors.size(); ++i)
    if (!find_reading(grid, detectors[i], readings[i])) return nullptr;
  return std::make_unique<Orthogonal>(grid, detectors, std::move(readings));
}

}  // namespace photopeak
