#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "level_set.hpp"

namespace photopeak {
namespace {

using Point = std::array<float, 3>;  // along z, y and x from the first voxel [mm]

constexpr float kFar = std::numeric_limits<float>::max();
constexpr int kUnknown = -1;

bool inside(float value) { return value < 0; }

struct Surface {
  std::vector<Point> points;
  std::vector<int> nearest;  // of each voxel, a point or kUnknown
};

float square_between(const Point& a, const Point& b) {
  const float z = a[0] - b[0], y = a[1] - b[1], x = a[2] - b[2];
  return z * z + y * y + x * x;
}

// How far along an axis, with sign, the nearest change of sign lies; infinite if there is none beside the voxel.
float crossing(const LevelGrid& grid, const float* level, std::int64_t i, std::int64_t at, std::int64_t step,
               int axis) {
  float found = std::numeric_limits<float>::infinity();
  for (const int way : {-1, 1}) {
    if (at + way < 0 || at + way >= grid.size[axis]) continue;
    const float here = level[i], there = level[i + way * step];
    if (inside(there) == inside(here)) continue;
    const float away = grid.spacing[axis] * (here / (here - there));
    if (away < std::abs(found)) found = static_cast<float>(way) * away;
  }
  return found;
}

// Beside the surface: the foot of each voxel on the plane through the crossings along the axes.
Surface start(const LevelGrid& grid, const float* level, float* distance) {
  const std::array<std::int64_t, 3> step{grid.size[1] * grid.size[2], grid.size[2], 1};
  Surface surface{{}, std::vector<int>(static_cast<std::size_t>(grid.count()), kUnknown)};
  std::int64_t i = 0;
  for (std::int64_t z = 0; z < grid.size[0]; ++z)
    for (std::int64_t y = 0; y < grid.size[1]; ++y)
      for (std::int64_t x = 0; x < grid.size[2]; ++x, ++i) {
        const std::array<std::int64_t, 3> at{z, y, x};
        std::array<float, 3> normal;
        float square = 0;
        for (int axis = 0; axis < 3; ++axis) {
          const float away = crossing(grid, level, i, at[axis], step[axis], axis);
          const float least = 1e-6F * grid.spacing[axis];
          normal[axis] = 1 / (std::abs(away) < least ? std::copysign(least, away) : away);
          square += normal[axis] * normal[axis];
        }
        distance[i] = kFar;
        if (square == 0) continue;
        distance[i] = 1 / std::sqrt(square);
        Point foot;
        for (int axis = 0; axis < 3; ++axis)
          foot[axis] = static_cast<float>(at[axis]) * grid.spacing[axis] + normal[axis] / square;
        surface.nearest[static_cast<std::size_t>(i)] = static_cast<int>(surface.points.size());
        surface.points.push_back(foot);
      }
  return surface;
}

// One pass over all voxels, along or against each axis; each asks the three that were passed just before.
void sweep(const LevelGrid& grid, int direction, Surface& surface, float* square) {
  const std::array<std::int64_t, 3> step{grid.size[1] * grid.size[2], grid.size[2], 1};
  std::array<std::int64_t, 3> first, way;
  for (int axis = 0; axis < 3; ++axis) {
    const bool back = direction >> axis & 1;
    first[axis] = back ? grid.size[axis] - 1 : 0;
    way[axis] = back ? -1 : 1;
  }
  for (std::int64_t k = 0; k < grid.size[0]; ++k)
    for (std::int64_t j = 0; j < grid.size[1]; ++j) {
      const std::int64_t z = first[0] + way[0] * k, y = first[1] + way[1] * j;
      for (std::int64_t n = 0; n < grid.size[2]; ++n) {
        const std::int64_t x = first[2] + way[2] * n, i = z * step[0] + y * step[1] + x;
        const Point here{static_cast<float>(z) * grid.spacing[0], static_cast<float>(y) * grid.spacing[1],
                         static_cast<float>(x) * grid.spacing[2]};
        int& own = surface.nearest[static_cast<std::size_t>(i)];
        const auto ask = [&](std::int64_t neighbour) {
          const int point = surface.nearest[static_cast<std::size_t>(neighbour)];
          if (point == own || point == kUnknown) return;
          const float found = square_between(here, surface.points[static_cast<std::size_t>(point)]);
          if (found < square[i]) {
            square[i] = found;
            own = point;
          }
        };
        if (k > 0) ask(i - way[0] * step[0]);
        if (j > 0) ask(i - way[1] * step[1]);
        if (n > 0) ask(i - way[2]);
      }
    }
}

}  // namespace

void signed_distance(const LevelGrid& grid, const float* level, float* distance) {
  Surface surface = start(grid, level, distance);
  const std::int64_t count = grid.count();
  for (std::int64_t i = 0; i < count; ++i)
    if (distance[i] < kFar) distance[i] *= distance[i];
  for (int direction = 0; direction < 8; ++direction) sweep(grid, direction, surface, distance);
  for (std::int64_t i = 0; i < count; ++i) {
    if (distance[i] < kFar) distance[i] = std::sqrt(distance[i]);
    if (inside(level[i])) distance[i] = -distance[i];
  }
}

}  // namespace photopeak
