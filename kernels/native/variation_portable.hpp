// The passes of the primal-dual solver as bodies that a device calls for each voxel; see projection_portable.hpp for
// what a device has. Voxels get the bits of the CPU's loops; sums are taken in another, fixed order.
#pragma once

#include "projection.hpp"
#include "variation.hpp"

namespace photopeak {

// A voxel's place and where its neighbours are; past the end it is its own neighbour, so that there is no difference.
struct VoxelPlace {
  std::int64_t down, next, right;
  bool first_slice, first_row, first_column;

  PHOTOPEAK_DEVICE VoxelPlace(const Box& box, std::int64_t i) {
    const std::int64_t plane = box.rows * box.columns, column = i % box.columns, row = i % plane / box.columns;
    first_slice = i < plane;
    first_row = row == 0;
    first_column = column == 0;
    next = i + plane < box.slices * plane ? i + plane : i;
    down = row + 1 < box.rows ? i + box.columns : i;
    right = column + 1 < box.columns ? i + 1 : i;
  }
};

struct FlowOfVoxels {
  const float *z, *y, *x;
  std::int64_t plane, columns;

  FlowOfVoxels(const Box& box, const float* flow)
      : z(flow), y(flow + box.size()), x(flow + 2 * box.size()), plane(box.plane()), columns(box.columns) {}

  PHOTOPEAK_DEVICE float into(const VoxelPlace& at, std::int64_t i, const VariationStep& step) const {
    return divergence(z[i], at.first_slice ? 0.0f : z[i - plane], y[i], at.first_row ? 0.0f : y[i - columns], x[i],
                      at.first_column ? 0.0f : x[i - 1], step);
  }
};

struct AscendVoxel {
  Box box;
  const float* leading;
  float *z, *y, *x, *squares;  // squares: of the moves, or null
  VariationStep step;

  PHOTOPEAK_DEVICE void operator()(std::int64_t i) const {
    const VoxelPlace at(box, i);
    const float here = leading[i];
    const Flow old{z[i], y[i], x[i]};
    const Flow p = ascended(old, leading[at.next] - here, leading[at.down] - here, leading[at.right] - here, step);
    z[i] = p.z;
    y[i] = p.y;
    x[i] = p.x;
    if (squares) {
      const float dz = p.z - old.z, dy = p.y - old.y, dx = p.x - old.x;
      squares[i] = dz * dz + dy * dy + dx * dx;
    }
  }
};

struct DescendVoxel {
  Box box;
  float *value, *leading, *squares;
  FlowOfVoxels flow;
  const float* slope;
  VariationStep step;

  PHOTOPEAK_DEVICE void operator()(std::int64_t i) const {
    const float old = value[i];
    const float found = descended(old, slope[i] - flow.into(VoxelPlace(box, i), i, step), step);
    const float to = old + step.relaxation * (found - old);
    value[i] = to;
    leading[i] = 2.0f * found - old;
    if (squares) squares[i] = (to - old) * (to - old);
  }
};

struct MeasureVoxel {
  Box box;
  const float* value;
  FlowOfVoxels flow;
  const float* slope;
  VariationStep step;  // only its weights
  float *variation, *above;

  PHOTOPEAK_DEVICE void operator()(std::int64_t i) const {
    const VoxelPlace at(box, i);
    const float here = value[i];
    variation[i] = variation_of(value[at.next] - here, value[at.down] - here, value[at.right] - here, step.weight);
    above[i] = larger(flow.into(at, i, step) - slope[i], 0.0f);
  }
};

struct SumRow {
  const float* values;
  double* sums;
  std::int64_t columns;

  PHOTOPEAK_DEVICE void operator()(std::int64_t row) const {
    double sum = 0.0;
    for (std::int64_t i = row * columns; i < (row + 1) * columns; ++i) sum += static_cast<double>(values[i]);
    sums[row] = sum;
  }
};

template <class Device>
double portable_sum(const Box& box, const float* values) {
  const std::int64_t rows = box.slices * box.rows;
  const typename Device::template Buffer<double> sums(rows);
  Device::for_each(rows, SumRow{values, sums.get(), box.columns});
  std::vector<double> found(static_cast<std::size_t>(rows));
  sums.download(found.data());
  double total = 0.0;
  for (const double sum : found) total += sum;
  return total;
}

template <class Device>
Moves portable_step(const Box& box, const Iterates& iterates, const float* slope, const VariationStep& step,
                    bool moves) {
  using Buffer = typename Device::template Buffer<float>;
  const std::int64_t size = box.size();
  const Buffer value(iterates.value, size), leading(iterates.leading, size), flow(iterates.flow, 3 * size);
  const Buffer data(slope, size), squares(moves ? size : 0);
  float *const z = flow.get(), *const y = z + size, *const x = y + size;
  Moves found{0.0, 0.0};
  Device::for_each(size, AscendVoxel{box, leading.get(), z, y, x, moves ? squares.get() : nullptr, step});
  if (moves) found.dual = portable_sum<Device>(box, squares.get());
  Device::for_each(size, DescendVoxel{box, value.get(), leading.get(), moves ? squares.get() : nullptr,
                                      FlowOfVoxels(box, z), data.get(), step});
  if (moves) found.primal = portable_sum<Device>(box, squares.get());
  value.download(iterates.value);
  leading.download(iterates.leading);
  flow.download(iterates.flow);
  return found;
}

template <class Device>
Measures portable_measure(const Box& box, const float* value, const float* flow, const float* slope,
                          const float* weight) {
  using Buffer = typename Device::template Buffer<float>;
  const std::int64_t size = box.size();
  const Buffer at(value, size), dual(flow, 3 * size), data(slope, size), variation(size), above(size);
  const VariationStep step{{0.0f, 0.0f, 0.0f}, {weight[0], weight[1], weight[2]}, 0.0f, 0.0f, 0.0f, 1.0f};
  Device::for_each(
      size, MeasureVoxel{box, at.get(), FlowOfVoxels(box, dual.get()), data.get(), step, variation.get(), above.get()});
  return {portable_sum<Device>(box, variation.get()), portable_sum<Device>(box, above.get())};
}

}  // namespace photopeak
