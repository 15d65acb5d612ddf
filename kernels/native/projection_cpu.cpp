// Projectors on the CPU: OpenMP around the loops of projection_loops.cpp.
//
// A voxel belongs to one plane, and all that reaches a plane is added by one thread in the order of the rays: results
// do not depend on the number of threads.
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>

#include "projection_layout.hpp"
#include "projection_loops.hpp"
#include "projection_rays.hpp"

namespace photopeak {
namespace {

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
