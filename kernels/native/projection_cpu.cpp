// Projectors on the CPU: OpenMP around the loops of projection_loops.cpp.
//
// A voxel belongs to one plane, and all that reaches a plane is added by one thread in the order of the rays: results
// do not depend on the number of threads.
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>

#include "parallel.hpp"
#include "projection_loops.hpp"
#include "projection_rays.hpp"
#include "projection_scratch.hpp"

namespace photopeak {
namespace {

constexpr std::int64_t kBlock = 16;  // rows of a volume that one thread moves at once

// Volumes as the rays along an axis need them, see Planes.
class Layout {
 public:
  Layout(const VolumeGrid& grid, int axis)
      : grid_(grid),
        planes_(planes_along(axis, grid)),
        inner_is_z_(axis != 2),
        filled_(scratch_size(axis, grid)),
        added_(scratch_size(axis, grid)) {}

  bool suits(int axis) const { return inner_is_z_ == (axis != 2); }

  // A copy with margins of zeros.
  ScratchPool::Loan filled(const float* volume, int threads) {
    ScratchPool::Loan loan = filled_.take();
    each_row(
        [&](Transposition shape, std::int64_t row, std::int64_t place) {
          if (inner_is_z_) {
            projection_loops().transpose(shape, volume + row, loan.get() + place);
          } else {
            std::copy_n(volume + row, grid_.size[0], loan.get() + place);
          }
        },
        threads);
    return loan;
  }

  // Zeros to add to; the margins take what misses the volume.
  ScratchPool::Loan cleared(int threads) {
    ScratchPool::Loan loan = added_.take();
    const std::int64_t size = 1 << 16;
    parallel_for(pieces(loan.size(), size), threads, [&](std::int64_t i) {
      std::fill_n(loan.get() + i * size, std::min(size, loan.size() - i * size), 0.0f);
    });
    return loan;
  }

  // Writes what was added to a volume, or adds it.
  void collect(const float* from, float* volume, bool add, int threads) const {
    each_row(
        [&](Transposition shape, std::int64_t row, std::int64_t place) {
          if (inner_is_z_) {
            projection_loops().transpose_back(shape, from + place, volume + row, add);
          } else {
            for (std::int64_t x = 0; x < grid_.size[0]; ++x)
              volume[row + x] = from[place + x] + (add ? volume[row + x] : 0.0f);
          }
        },
        threads);
  }

 private:
  // Calls body(shape, first element in the volume, first element here) for pieces that do not overlap.
  template <class Body>
  void each_row(Body&& body, int threads) const {
    const std::int64_t rows = inner_is_z_ ? grid_.size[1] : grid_.size[1] * grid_.size[2];
    const Planes& planes = planes_;
    const std::int64_t wide = inner_is_z_ ? (planes.axis == 0 ? planes.a_stride : planes.stride) : 0;
    const std::int64_t narrow = inner_is_z_ ? (planes.axis == 0 ? planes.stride : planes.a_stride) : 0;
    parallel_for(pieces(rows, kBlock), threads, [&](std::int64_t block) {
      for (std::int64_t row = block * kBlock; row < std::min(rows, (block + 1) * kBlock); ++row) {
        if (inner_is_z_) {
          const std::int64_t place = kAligned + (row + kMarginBefore) * wide + kMarginBefore * narrow;
          body({grid_.size[2], grid_.size[0], grid_.size[0] * grid_.size[1], narrow}, row * grid_.size[0], place);
        } else {
          const std::int64_t z = row / grid_.size[1], y = row % grid_.size[1];
          body({}, row * grid_.size[0], kAligned + z * planes.stride + (y + kMarginBefore) * planes.a_stride);
        }
      }
    });
  }

  VolumeGrid grid_;
  Planes planes_;
  bool inner_is_z_;
  ScratchPool filled_, added_;
};

LineOfRays line_of(const Rays& rays, std::int64_t line) {
  const std::int64_t first = line * rays.pitch;
  return {&rays.a[first],
          &rays.a_step[first],
          &rays.b[first],
          &rays.b_step[first],
          &rays.begin[first],
          &rays.end[first],
          rays.length,
          rays.planes.stride,
          rays.planes.a_stride,
          static_cast<float>(rays.planes.a_size + 1),
          static_cast<float>(rays.planes.b_size + 1)};
}

class CpuProjection final : public Projection {
 public:
  CpuProjection(const VolumeGrid& grid, const std::vector<Detector>& detectors) : grid_(grid), detectors_(detectors) {
    for (std::size_t i = 0; i < detectors.size(); ++i)
      for (Rays& rays : rays_of(grid, detectors[i], static_cast<std::int64_t>(i))) rays_.push_back(std::move(rays));
    for (const Rays& rays : rays_) {
      const int axis = rays.planes.axis;
      const auto suits = [&](const auto& layout) { return layout->suits(axis); };
      if (std::none_of(layouts_.begin(), layouts_.end(), suits))
        layouts_.push_back(std::make_unique<Layout>(grid, axis));
    }
  }

  void forward(const float* volume, float* const* images, int threads) const override {
    for (std::size_t i = 0; i < detectors_.size(); ++i) std::fill_n(images[i], detectors_[i].pixels(), 0.0f);
    for (const auto& layout : layouts_) {
      const ScratchPool::Loan filled = layout->filled(volume, threads);
      for (const Rays& rays : rays_)
        if (layout->suits(rays.planes.axis)) look(rays, filled.get(), images[rays.detector], threads);
    }
  }

  void adjoint(const float* const* images, float* volume, int threads) const override {
    bool add = false;
    for (const auto& layout : layouts_) {
      const ScratchPool::Loan sums = layout->cleared(threads);
      for (const Rays& rays : rays_)
        if (layout->suits(rays.planes.axis)) spread(rays, images[rays.detector], sums.get(), threads);
      layout->collect(sums.get(), volume, add, threads);
      add = true;
    }
  }

 private:
  static void look(const Rays& rays, const float* volume, float* image, int threads) {
    parallel_for(rays.lines, threads, [&](std::int64_t line) {
      if (rays.line_begin[line] >= rays.line_end[line]) return;
      thread_local std::vector<float> sums;
      sums.resize(rays.pitch);
      projection_loops().sum(line_of(rays, line), volume + rays.planes.offset, sums.data());
      for (std::int64_t i = 0; i < rays.length; ++i)
        image[rays.pixel(line, i)] += sums[i] * rays.path[line * rays.pitch + i];
    });
  }

  static void spread(const Rays& rays, const float* image, float* volume, int threads) {
    std::vector<float> values(rays.lines * rays.pitch);
    for (std::int64_t line = 0; line < rays.lines; ++line)
      for (std::int64_t i = 0; i < rays.length; ++i) {
        const std::int64_t at = line * rays.pitch + i;
        values[at] = image[rays.pixel(line, i)] * rays.path[at];
      }
    parallel_for(rays.planes.count, threads, [&](std::int64_t plane) {
      for (std::int64_t line = 0; line < rays.lines; ++line)
        if (plane >= rays.line_begin[line] && plane < rays.line_end[line])
          projection_loops().spread(line_of(rays, line), static_cast<std::int32_t>(plane), &values[line * rays.pitch],
                                    volume + rays.planes.offset);
    });
  }

  VolumeGrid grid_;
  std::vector<Detector> detectors_;
  std::vector<Rays> rays_;
  std::vector<std::unique_ptr<Layout>> layouts_;
};

const ProjectionLoops& choose_loops() {
#ifdef PHOTOPEAK_X86_LOOPS
  const char* wish = std::getenv("PHOTOPEAK_SIMD");
  const std::string most = wish ? wish : "avx512";
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512cd");
  if (avx512 && most == "avx512") return projection_loops_avx512;
  if (avx2 && most != "baseline") return projection_loops_avx2;
#endif
  return projection_loops_baseline;
}

}  // namespace

const ProjectionLoops& projection_loops() {
  static const ProjectionLoops& chosen = choose_loops();
  return chosen;
}

std::unique_ptr<Projection> cpu_projection(const VolumeGrid& grid, const std::vector<Detector>& detectors) {
  return std::make_unique<CpuProjection>(grid, detectors);
}

}  // namespace photopeak
