// What one ray reads and what one voxel gets, the same on the CPU and on a GPU.
#pragma once

#include <cmath>

#include "projection_rays.hpp"

namespace photopeak {

// The rays of one detector along one axis, and the volume [z][y][x] as they cross it.
struct RayTable {
  const float *a, *a_step, *b, *b_step, *path;
  const std::int32_t *begin, *end;
  std::int64_t lines, length, pitch;
  bool down, reversed;
  int axis, a_axis, b_axis;
  std::int64_t a_size, b_size, stride, a_stride, b_stride;

  PHOTOPEAK_DEVICE std::int64_t pixel(std::int64_t line, std::int64_t i) const {
    const std::int64_t along = reversed ? length - 1 - i : i;
    return down ? along * lines + line : line * length + along;
  }
};

// Sums a volume along one ray. Neighbouring numbers are neighbouring lines.
struct LookAlongRay {
  RayTable rays;
  const float* volume;
  float* image;

  PHOTOPEAK_DEVICE float voxel(const float* plane, std::int64_t a, std::int64_t b) const {
    return a < 0 || b < 0 || a >= rays.a_size || b >= rays.b_size ? 0.0f : plane[a * rays.a_stride + b * rays.b_stride];
  }

  PHOTOPEAK_DEVICE void operator()(std::int64_t number) const {
    const std::int64_t line = number % rays.lines, i = number / rays.lines, at = line * rays.pitch + i;
    if (rays.begin[at] >= rays.end[at]) return;
    float sum = 0.0f;
    for (std::int32_t k = rays.begin[at]; k < rays.end[at]; ++k) {
      const float a = rays.a[at] + rays.a_step[at] * static_cast<float>(k);
      const float b = rays.b[at] + rays.b_step[at] * static_cast<float>(k);
      const float a_whole = floorf(a), b_whole = floorf(b), a_share = a - a_whole, b_share = b - b_whole;
      const std::int64_t lower = static_cast<std::int64_t>(a_whole) - kMarginBefore;
      const std::int64_t left = static_cast<std::int64_t>(b_whole) - kMarginBefore;
      const float* const plane = volume + k * rays.stride;
      const float near = voxel(plane, lower, left), near_next = voxel(plane, lower, left + 1);
      const float far = voxel(plane, lower + 1, left), far_next = voxel(plane, lower + 1, left + 1);
      const float below = near + b_share * (near_next - near), above = far + b_share * (far_next - far);
      sum += below + a_share * (above - below);
    }
    image[rays.pixel(line, i)] += sum * rays.path[at];
  }
};

// Rows and columns from begin to before end.
struct PixelBox {
  std::int64_t row_begin, row_end, column_begin, column_end;
};

// Collects for one voxel what all rays that pass it bring; no two threads write the same.
struct CollectForVoxel {
  RayTable rays;
  VolumeGrid grid;
  Detector detector;
  const float* image;
  float* volume;

  // The pixels whose rays may pass less than one voxel from this one, in its plane.
  PHOTOPEAK_DEVICE PixelBox box_of(const std::int64_t* voxel) const {
    const Detector& d = detector;
    const double normal[3] = {d.right[1] * d.down[2] - d.right[2] * d.down[1],
                              d.right[2] * d.down[0] - d.right[0] * d.down[2],
                              d.right[0] * d.down[1] - d.right[1] * d.down[0]};
    double low[2] = {HUGE_VAL, HUGE_VAL}, high[2] = {-HUGE_VAL, -HUGE_VAL};
    for (int corner = 0; corner < 4; ++corner) {
      double at[3], ahead = 0, whole = 0;
      for (int i = 0; i < 3; ++i) {
        const int beside = i == rays.a_axis ? (corner & 1 ? 1 : -1) : i == rays.b_axis ? (corner & 2 ? 1 : -1) : 0;
        at[i] = grid.first[i] + static_cast<double>(voxel[i] + beside) * grid.spacing[i];
        ahead += (at[i] - d.origin[i]) * normal[i];
        whole += (d.first[i] - d.origin[i]) * normal[i];
      }
      if (d.cone && ahead * whole <= 0) return {0, d.rows, 0, d.columns};  // beside the focal spot: anywhere
      double place[2] = {0, 0}, squares[2] = {0, 0};
      for (int i = 0; i < 3; ++i) {
        const double seen = d.cone ? d.origin[i] + (at[i] - d.origin[i]) * (whole / ahead) : at[i];
        place[0] += (seen - d.first[i]) * d.down[i], squares[0] += d.down[i] * d.down[i];
        place[1] += (seen - d.first[i]) * d.right[i], squares[1] += d.right[i] * d.right[i];
      }
      for (int i = 0; i < 2; ++i) {
        low[i] = fmin(low[i], place[i] / squares[i]);
        high[i] = fmax(high[i], place[i] / squares[i]);
      }
    }
    return {first_of(low[0], d.rows), first_of(high[0] + 1, d.rows), first_of(low[1], d.columns),
            first_of(high[1] + 1, d.columns)};
  }

  // The whole number that a bound begins at, with room for rounding.
  PHOTOPEAK_DEVICE static std::int64_t first_of(double bound, std::int64_t size) {
    bound = floor(bound + (bound > 0 ? 1e-3 : 0));
    return bound < 0 ? 0 : bound > static_cast<double>(size) ? size : static_cast<std::int64_t>(bound);
  }

  PHOTOPEAK_DEVICE static float weight_of(float distance) {
    distance = fabsf(distance);
    return distance < 1.0f ? 1.0f - distance : 0.0f;
  }

  PHOTOPEAK_DEVICE void operator()(std::int64_t number) const {
    const std::int64_t voxel[3] = {number % grid.size[0], number / grid.size[0] % grid.size[1],
                                   number / (grid.size[0] * grid.size[1])};
    const PixelBox box = box_of(voxel);
    const float k = static_cast<float>(voxel[rays.axis]);
    const float a_here = static_cast<float>(voxel[rays.a_axis] + kMarginBefore);
    const float b_here = static_cast<float>(voxel[rays.b_axis] + kMarginBefore);
    float total = 0.0f;
    for (std::int64_t row = box.row_begin; row < box.row_end; ++row)
      for (std::int64_t column = box.column_begin; column < box.column_end; ++column) {
        const std::int64_t line = rays.down ? column : row, along = rays.down ? row : column;
        const std::int64_t at = line * rays.pitch + (rays.reversed ? rays.length - 1 - along : along);
        if (voxel[rays.axis] < rays.begin[at] || voxel[rays.axis] >= rays.end[at]) continue;
        const float weight =
            weight_of(rays.a[at] + rays.a_step[at] * k - a_here) * weight_of(rays.b[at] + rays.b_step[at] * k - b_here);
        total += weight * image[row * detector.columns + column] * rays.path[at];
      }
    volume[number] += total;
  }
};

}  // namespace photopeak
