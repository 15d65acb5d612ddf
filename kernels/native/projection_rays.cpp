#include "projection_rays.hpp"

#include <algorithm>
#include <cmath>

namespace photopeak {
namespace {

std::int64_t padded(std::int64_t n) { return (n + kMarginAfter + kAligned - 1) / kAligned * kAligned; }

constexpr double kParallel = 1e-7;  // sine of the angle up to which lines are taken for parallel
constexpr double kNearest = 0.05;   // distance of rays below which upright lines have no room for them [voxels]
constexpr double kTie = 1e-9;       // axes that rounding alone tells apart

// One ray in units of voxels: where it is for t = 0, and what it moves for t = 1.
struct Ray {
  double at[3], step[3];
  double bounds[2];  // of t
  double mm;         // for t = 1
  int axis() const {
    int best = 1;
    for (const int other : {0, 2})
      if (std::abs(step[other]) > std::abs(step[best]) * (1 + kTie)) best = other;
    return best;
  }
};

Ray ray_through(const VolumeGrid& grid, const Detector& detector, std::int64_t row, std::int64_t column) {
  Ray ray;
  double squares = 0;
  for (int i = 0; i < 3; ++i) {
    const double pixel = detector.first[i] + static_cast<double>(row) * detector.down[i] +
                         static_cast<double>(column) * detector.right[i];
    const double start = detector.cone ? detector.origin[i] : pixel;
    const double step = detector.cone ? pixel - start : detector.origin[i];
    ray.at[i] = (start - grid.first[i]) / grid.spacing[i];
    ray.step[i] = step / grid.spacing[i];
    squares += step * step;
  }
  ray.mm = std::sqrt(squares);
  // A cone beam ends at its focal spot and at the detector; parallel rays see the whole volume.
  ray.bounds[0] = detector.cone ? 0.0 : -HUGE_VAL;
  ray.bounds[1] = detector.cone ? 1.0 : HUGE_VAL;
  return ray;
}

// Narrows begin..end to where low <= at + k * step <= high.
void narrow(double at, double step, double low, double high, double& begin, double& end) {
  if (step == 0) {
    if (at < low || at > high) end = begin - 1;
    return;
  }
  const double one = (low - at) / step, other = (high - at) / step;
  begin = std::max(begin, std::min(one, other));
  end = std::min(end, std::max(one, other));
}

void add(Rays& rays, std::size_t i, const Ray& ray) {
  const Planes& planes = rays.planes;
  const double along = ray.step[planes.axis], start = ray.at[planes.axis];
  const double a_step = ray.step[planes.a_axis] / along, b_step = ray.step[planes.b_axis] / along;
  const double a = ray.at[planes.a_axis] - start * a_step + kMarginBefore;
  const double b = ray.at[planes.b_axis] - start * b_step + kMarginBefore;
  double begin = 0, end = static_cast<double>(planes.count - 1);
  narrow(start * -1 / along, 1 / along, ray.bounds[0], ray.bounds[1], begin, end);
  narrow(a, a_step, 0, static_cast<double>(planes.a_size + 1), begin, end);
  narrow(b, b_step, 0, static_cast<double>(planes.b_size + 1), begin, end);
  rays.a[i] = static_cast<float>(a);
  rays.a_step[i] = static_cast<float>(a_step);
  rays.b[i] = static_cast<float>(b);
  rays.b_step[i] = static_cast<float>(b_step);
  rays.path[i] = static_cast<float>(ray.mm / std::abs(along));
  if (begin > end) return;
  rays.begin[i] = static_cast<std::int32_t>(std::ceil(begin));
  rays.end[i] = static_cast<std::int32_t>(std::floor(end)) + 1;
}

// Rays of no plane yet, in lines that run along b.
Rays empty(const VolumeGrid& grid, const Detector& detector, std::int64_t number, int axis) {
  Rays rays;
  rays.detector = number;
  rays.planes = planes_along(axis, grid);
  const int b = rays.planes.b_axis;
  rays.down = std::abs(detector.down[b]) >= std::abs(detector.right[b]);
  rays.reversed = (rays.down ? detector.down[b] : detector.right[b]) < 0;
  rays.lines = rays.down ? detector.columns : detector.rows;
  rays.length = rays.down ? detector.rows : detector.columns;
  rays.pitch = (rays.length + kAligned - 1) / kAligned * kAligned;
  const auto n = static_cast<std::size_t>(rays.lines * rays.pitch);
  for (auto* values : {&rays.a, &rays.a_step, &rays.b, &rays.b_step, &rays.path}) values->resize(n);
  rays.begin.resize(n);
  rays.end.resize(n);
  return rays;
}

void bound_lines(Rays& rays) {
  for (std::int64_t line = 0; line < rays.lines; ++line) {
    std::int32_t begin = static_cast<std::int32_t>(rays.planes.count), end = 0;
    for (std::int64_t i = line * rays.pitch; i < (line + 1) * rays.pitch; ++i) {
      if (rays.begin[i] >= rays.end[i]) continue;
      begin = std::min(begin, rays.begin[i]);
      end = std::max(end, rays.end[i]);
    }
    rays.line_begin.push_back(begin);
    rays.line_end.push_back(end);
  }
}

// Whether all rays of each line go the same way across a, so that the loops for upright detectors serve them.
bool is_upright(const Rays& rays, const Detector& detector) {
  const double* const step = rays.down ? detector.down : detector.right;
  const int b = rays.planes.b_axis;
  if (std::hypot(step[rays.planes.axis], step[rays.planes.a_axis]) > kParallel * std::abs(step[b])) return false;
  for (std::int64_t line = 0; line < rays.lines; ++line) {
    const auto begin = rays.path.begin() + line * rays.pitch, end = begin + rays.length;
    const auto others = std::count(begin, end, 0.0f);  // rays of another axis
    if (others != 0 && others != rays.length) return false;
  }
  return true;
}

UprightLine upright_line(const VolumeGrid& grid, const Detector& detector, const Rays& rays, std::int64_t line) {
  const Planes& planes = rays.planes;
  UprightLine result{};
  result.begin = rays.line_begin[line], result.end = rays.line_end[line];
  result.length = rays.length, result.b_size = planes.b_size;
  result.stride = planes.stride, result.a_stride = planes.a_stride;
  double b[2], b_step[2];
  for (int last = 0; last < 2; ++last) {
    const std::int64_t pixel = rays.pixel(line, last * (rays.length - 1));
    const Ray ray = ray_through(grid, detector, pixel / detector.columns, pixel % detector.columns);
    const double along = ray.step[planes.axis], start = ray.at[planes.axis];
    result.a_step = ray.step[planes.a_axis] / along;
    result.a = ray.at[planes.a_axis] - start * result.a_step + kMarginBefore;
    b_step[last] = ray.step[planes.b_axis] / along;
    b[last] = ray.at[planes.b_axis] - start * b_step[last] + kMarginBefore;
  }
  const auto steps = static_cast<double>(rays.length - 1);
  result.b = b[0], result.b_step = b_step[0];
  result.spacing = steps > 0 ? (b[1] - b[0]) / steps : 1.0;
  result.spacing_step = steps > 0 ? (b_step[1] - b_step[0]) / steps : 0.0;
  return result;
}

// Leaves a detector to the general loops if its lines are not of the kind, or rays are too near each other.
void find_upright(const VolumeGrid& grid, const Detector& detector, Rays& rays) {
  if (!is_upright(rays, detector)) return;
  std::vector<UprightLine> lines;
  for (std::int64_t i = 0; i < rays.lines; ++i) {
    const UprightLine line = upright_line(grid, detector, rays, i);
    const auto spacing_at = [&](std::int64_t plane) {
      return line.spacing + line.spacing_step * static_cast<double>(plane);
    };
    if (line.begin < line.end && !(std::min(spacing_at(line.begin), spacing_at(line.end - 1)) > kNearest)) return;
    lines.push_back(line);
  }
  rays.upright = std::move(lines);
  for (auto* values : {&rays.a, &rays.a_step, &rays.b, &rays.b_step}) std::vector<float>().swap(*values);
}

}  // namespace

Planes planes_along(int axis, const VolumeGrid& grid) {
  const int b = axis == 2 ? 0 : 2, a = axis == 1 ? 0 : 1;
  const std::int64_t line = padded(grid.size[b]);
  Planes planes{axis, a, b, grid.size[axis], grid.size[a], grid.size[b], 0, 0, 0};
  // [y][x][z] with a margin along y and x, or [z][y][x] with one along y.
  const std::int64_t margins = kMarginBefore + kMarginAfter, wide = (grid.size[0] + margins) * line;
  if (axis == 0) {
    planes.stride = line, planes.a_stride = wide, planes.offset = kMarginBefore * line;
  } else if (axis == 1) {
    planes.stride = wide, planes.a_stride = line, planes.offset = kMarginBefore * wide;
  } else {
    planes.stride = (grid.size[1] + margins) * line, planes.a_stride = line, planes.offset = 0;
  }
  planes.offset += kAligned - kMarginBefore;
  return planes;
}

std::int64_t scratch_size(int axis, const VolumeGrid& grid) {
  const std::int64_t margins = kMarginBefore + kMarginAfter;
  const std::int64_t lines =
      axis == 2 ? grid.size[2] * (grid.size[1] + margins) : (grid.size[1] + margins) * (grid.size[0] + margins);
  return 2 * kAligned + lines * padded(grid.size[axis == 2 ? 0 : 2]);
}

std::vector<Rays> rays_of(const VolumeGrid& grid, const Detector& detector, std::int64_t number, bool upright) {
  std::vector<Rays> all;
  for (std::int64_t row = 0; row < detector.rows; ++row)
    for (std::int64_t column = 0; column < detector.columns; ++column) {
      const Ray ray = ray_through(grid, detector, row, column);
      const int axis = ray.axis();
      auto found = std::find_if(all.begin(), all.end(), [&](const Rays& rays) { return rays.planes.axis == axis; });
      if (found == all.end()) found = all.insert(all.end(), empty(grid, detector, number, axis));
      const std::int64_t line = found->down ? column : row, along = found->down ? row : column;
      const std::int64_t i = found->reversed ? found->length - 1 - along : along;
      add(*found, static_cast<std::size_t>(line * found->pitch + i), ray);
    }
  for (Rays& rays : all) {
    bound_lines(rays);
    if (upright) find_upright(grid, detector, rays);
  }
  return all;
}

}  // namespace photopeak
