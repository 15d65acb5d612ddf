// Signed distance from the zero level of a function on voxels.
#pragma once

#include <array>
#include <cstdint>

namespace photopeak {

struct LevelGrid {
  std::array<std::int64_t, 3> size;  // slices, rows, columns
  std::array<float, 3> spacing;      // along each [mm]

  std::int64_t count() const { return size[0] * size[1] * size[2]; }
};

// Distance [mm], with the sign of `level`, of every voxel to where `level` is zero; the largest float, with that sign,
// if it is nowhere zero. Voxels hand the nearest point of the surface that they know on to their neighbours, in eight
// sweeps (Danielsson 1980); points lie between voxels.
void signed_distance(const LevelGrid& grid, const float* level, float* distance);

}  // namespace photopeak
