// Rays as Joseph's method takes them: plane after plane of voxels, each crossed at a point (a, b) of the plane.
//
// P. M. Joseph, An improved algorithm for reprojecting rays through pixel images, IEEE Trans. Med. Imaging 1 (1982)
// 192.
#pragma once

#include <vector>

#include "projection.hpp"
#include "upright_loops.hpp"

namespace photopeak {

// How a volume lies in the scratch that the loops work on: along b without gaps, with a margin of zeros so that no
// sample needs a test for the border. Planes along x and y have b = z, which makes the two directions across the body
// alike; planes along z have b = x.
struct Planes {
  int axis, a_axis, b_axis;
  std::int64_t count, a_size, b_size;  // voxels along the axis, a and b
  std::int64_t stride, a_stride;       // of planes and along a
  std::int64_t offset;                 // of the margin's first element in the plane of number 0
};

// Elements before the first and after the last that belong to the margin.
constexpr std::int64_t kMarginBefore = 1, kMarginAfter = 2, kAligned = 16;

Planes planes_along(int axis, const VolumeGrid& grid);
std::int64_t scratch_size(int axis, const VolumeGrid& grid);

// Rays of one detector that cross planes along one axis. Positions are counted from the first element of the margin.
// Lines of rays are rows or columns of the image, whichever runs along b, in the direction in which b grows.
struct Rays {
  std::int64_t detector;
  Planes planes;
  bool down, reversed;                      // columns are lines; their order is not that of the image
  std::int64_t lines, length, pitch;        // of rays in a line; the tables go on to `pitch` with rays of no plane
  std::vector<float> a, a_step, b, b_step;  // in plane 0, and from plane to plane
  std::vector<float> path;                  // between planes [mm]
  std::vector<std::int32_t> begin, end;     // planes; none for rays of another axis
  std::vector<std::int32_t> line_begin, line_end;  // of any ray of the line
  std::vector<UprightLine> upright;                // lines that run along b; empty if not all of them do

  // Where in the image a ray is.
  std::int64_t pixel(std::int64_t line, std::int64_t i) const {
    const std::int64_t along = reversed ? length - 1 - i : i;
    return down ? along * lines + line : line * length + along;
  }
};

// The rays of a detector, split by the axis along which they make the largest steps [voxels]; with `upright`, those
// that the loops for it serve have no tables.
std::vector<Rays> rays_of(const VolumeGrid& grid, const Detector& detector, std::int64_t number, bool upright);

}  // namespace photopeak
