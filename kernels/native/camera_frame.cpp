#include "camera_frame.hpp"

#include <algorithm>
#include <cmath>

#include "camera_blur.hpp"
#include "projection_rays.hpp"

namespace photopeak {
namespace {

constexpr double kExact = 1e-6;                // of a voxel: what rounding moves
constexpr double kSigma = 2.3548200450309493;  // full width at half maximum of a Gaussian

double dot(const double* a, const double* b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

// Lines of a plane and planes, both counted from a corner of the frame.
struct Axes {
  double across[3], deep[3];  // steps [mm]
  double corner[3];           // the first line of the nearest plane, z of no meaning [mm]
  std::int64_t lines, planes;
  double line_spacing, depth_spacing;
};

double length_of(const double* v) { return std::sqrt(dot(v, v)); }

// The volume's own planes and lines, for a camera that looks along x or y.
Axes axes_of_grid(const VolumeGrid& grid, const double* looking, const double* across) {
  const int deep = std::abs(looking[1]) > 0.5 ? 1 : 0, wide = 1 - deep;
  Axes axes{};
  axes.lines = grid.size[wide], axes.planes = grid.size[deep];
  axes.line_spacing = grid.spacing[wide], axes.depth_spacing = grid.spacing[deep];
  axes.across[wide] = std::copysign(axes.line_spacing, across[wide]);
  axes.deep[deep] = std::copysign(axes.depth_spacing, looking[deep]);
  for (const int axis : {deep, wide}) {
    const double step = axis == deep ? axes.deep[deep] : axes.across[wide];
    const double last = static_cast<double>(grid.size[axis] - 1) * grid.spacing[axis];
    axes.corner[axis] = grid.first[axis] + (step < 0 ? last : 0.0);
  }
  return axes;
}

// Turned planes that cover the volume. Pixels fall on lines, so that nothing is interpolated across twice.
Axes axes_turned(const VolumeGrid& grid, const Detector& detector, const double* looking, const double* across,
                 double pixel) {
  Axes axes{};
  axes.depth_spacing = std::min(grid.spacing[0], grid.spacing[1]);
  axes.line_spacing = pixel / std::ceil(pixel / axes.depth_spacing - kExact);
  double center[3] = {}, half_across = 0, half_deep = 0;
  for (int axis = 0; axis < 2; ++axis) {
    const double half = static_cast<double>(grid.size[axis] - 1) * grid.spacing[axis] / 2;
    center[axis] = grid.first[axis] + half;
    half_across += (half + grid.spacing[axis]) * std::abs(across[axis]);
    half_deep += (half + grid.spacing[axis]) * std::abs(looking[axis]);
  }
  axes.lines = 2 * static_cast<std::int64_t>(std::ceil(half_across / axes.line_spacing)) + 1;
  axes.planes = 2 * static_cast<std::int64_t>(std::ceil(half_deep / axes.depth_spacing)) + 1;
  const double from_pixel = (dot(center, across) - dot(detector.first, across)) / axes.line_spacing;
  const double shift = (std::round(from_pixel) - from_pixel) * axes.line_spacing;
  for (int axis = 0; axis < 2; ++axis) {
    axes.across[axis] = across[axis] * axes.line_spacing, axes.deep[axis] = looking[axis] * axes.depth_spacing;
    axes.corner[axis] = center[axis] + shift * across[axis] - axes.across[axis] * static_cast<double>(axes.lines / 2) -
                        axes.deep[axis] * static_cast<double>(axes.planes / 2);
  }
  return axes;
}

FrameLine line_at(const VolumeGrid& grid, double x, double y) {
  const Planes planes = planes_along(1, grid);
  const double wide = static_cast<double>(grid.size[0]), high = static_cast<double>(grid.size[1]);
  x += kMarginBefore, y += kMarginBefore;
  if (x < 0 || y < 0 || x >= wide + 1 || y >= high + 1) return {-1, {}};
  const double column = std::floor(x), row = std::floor(y);
  const auto right = static_cast<float>(x - column), below = static_cast<float>(y - row);
  const auto place =
      static_cast<std::int64_t>(row) * planes.stride + static_cast<std::int64_t>(column) * planes.a_stride;
  return {kAligned + place, {(1 - right) * (1 - below), right * (1 - below), (1 - right) * below, right * below}};
}

std::vector<Reading> readings(double first, double step, std::int64_t count, std::int64_t samples) {
  std::vector<Reading> all;
  for (std::int64_t i = 0; i < count; ++i) {
    double at = first + step * static_cast<double>(i);
    if (std::abs(at - std::round(at)) < kExact) at = std::round(at);
    const double whole = std::floor(at);
    const bool seen = whole >= -1 && whole < static_cast<double>(samples);
    all.push_back({seen ? static_cast<std::int64_t>(whole) : -2, static_cast<float>(at - whole)});
  }
  return all;
}

}  // namespace

CameraFrame frame_of(const VolumeGrid& grid, const Detector& detector, const Camera& camera) {
  CameraFrame frame;
  frame.down = std::abs(detector.down[2]) > std::abs(detector.right[2]);
  const double* const sideways = frame.down ? detector.right : detector.down;
  const double* const upright = frame.down ? detector.down : detector.right;
  const double pixel = length_of(sideways), *looking = detector.origin;
  const double across[3] = {sideways[0] / pixel, sideways[1] / pixel, 0};
  frame.exact = std::min(std::abs(looking[0]), std::abs(looking[1])) < kExact;
  const Axes axes =
      frame.exact ? axes_of_grid(grid, looking, across) : axes_turned(grid, detector, looking, across, pixel);
  frame.lines = axes.lines, frame.planes = axes.planes, frame.step = static_cast<float>(axes.depth_spacing);
  BlurSeries blurs(axes.line_spacing, grid.spacing[2]);
  for (std::int64_t plane = 0; plane < axes.planes; ++plane) {
    double at[3] = {0, 0, detector.first[2]};
    for (std::int64_t line = 0; line < axes.lines; ++line) {
      for (int i = 0; i < 2; ++i)
        at[i] = axes.corner[i] + axes.deep[i] * static_cast<double>(plane) + axes.across[i] * static_cast<double>(line);
      double x = (at[0] - grid.first[0]) / grid.spacing[0], y = (at[1] - grid.first[1]) / grid.spacing[1];
      if (frame.exact) x = std::round(x), y = std::round(y);
      frame.places.push_back(line_at(grid, x, y));
    }
    const double offset[3] = {at[0] - detector.first[0], at[1] - detector.first[1], 0};
    const double distance = std::max(0.0, dot(offset, looking));  // what is behind the face touches it
    const double width = camera.at_face + camera.slope * distance;
    frame.blurs.push_back(blurs.next((camera.intrinsic * camera.intrinsic + width * width) / (kSigma * kSigma)));
  }
  for (int i = 0; i < 2; ++i) {
    frame.corner[i] = (axes.corner[i] - grid.first[i]) / grid.spacing[i];
    frame.deep[i] = axes.deep[i] / grid.spacing[i], frame.wide[i] = axes.across[i] / grid.spacing[i];
  }
  double offset[3] = {detector.first[0] - axes.corner[0], detector.first[1] - axes.corner[1], 0};
  frame.across = readings(dot(offset, across) / axes.line_spacing, pixel / axes.line_spacing,
                          frame.down ? detector.columns : detector.rows, axes.lines);
  frame.along = readings((detector.first[2] - grid.first[2]) / grid.spacing[2], upright[2] / grid.spacing[2],
                         frame.down ? detector.rows : detector.columns, grid.size[2]);
  return frame;
}

}  // namespace photopeak
