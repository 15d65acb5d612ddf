// Projectors on the CPU: OpenMP around the loops of projection_loops.cpp.
//
// A voxel belongs to one plane, and all that reaches a plane is added by one thread in the order of the rays: results
// do not depend on the number of threads.
#include <algorithm>
#include <memory>
#include <string>

#include "orthogonal.hpp"
#include "processor.hpp"
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
      for (Rays& rays : rays_of(grid, detectors[i], static_cast<std::int64_t>(i), true))
        rays_.push_back(std::move(rays));
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
    const float* const planes = volume + rays.planes.offset;
    parallel_for(rays.lines, threads, [&](std::int64_t line) {
      if (rays.line_begin[line] >= rays.line_end[line]) return;
      thread_local std::vector<float> sums, voxels;
      sums.resize(rays.pitch);
      if (rays.upright.empty()) {
        projection_loops().sum(line_of(rays, line), planes, sums.data());
      } else {
        voxels.assign(voxel_pitch(rays) + kUprightMargin, 0.0f);
        upright_loops().sum(rays.upright[line], planes + kMarginBefore, voxels.data() + kUprightMargin, sums.data());
      }
      for (std::int64_t i = 0; i < rays.length; ++i)
        image[rays.pixel(line, i)] += sums[i] * rays.path[line * rays.pitch + i];
    });
  }

  // Elements of one line of voxels and of the zeros behind it.
  static std::int64_t voxel_pitch(const Rays& rays) {
    return (rays.planes.b_size + kAligned - 1) / kAligned * kAligned + kUprightMargin;
  }

  static void spread(const Rays& rays, const float* image, float* volume, int threads) {
    const std::int64_t pitch = rays.pitch + kUprightMargin;
    std::vector<float> values(rays.lines * pitch + kUprightMargin);
    const auto values_of = [&](std::int64_t line) { return values.data() + kUprightMargin + line * pitch; };
    for (std::int64_t line = 0; line < rays.lines; ++line)
      for (std::int64_t i = 0; i < rays.length; ++i)
        values_of(line)[i] = image[rays.pixel(line, i)] * rays.path[line * rays.pitch + i];
    if (!rays.upright.empty()) return spread_upright(rays, values_of, volume + rays.planes.offset, threads);
    parallel_for(rays.planes.count, threads, [&](std::int64_t plane) {
      for (std::int64_t line = 0; line < rays.lines; ++line)
        if (plane >= rays.line_begin[line] && plane < rays.line_end[line])
          projection_loops().spread(line_of(rays, line), static_cast<std::int32_t>(plane), values_of(line),
                                    volume + rays.planes.offset);
    });
  }

  // What parallel rays bring to a line of voxels is the same in every plane.
  template <class ValuesOf>
  static void spread_upright(const Rays& rays, ValuesOf&& values_of, float* volume, int threads) {
    const UprightLoops& loops = upright_loops();
    const std::int64_t pitch = voxel_pitch(rays);
    const bool same = std::all_of(rays.upright.begin(), rays.upright.end(), [](const auto& l) { return l.parallel(); });
    std::vector<float> lines(same ? rays.lines * pitch : 0);
    if (same)
      parallel_for(rays.lines, threads, [&](std::int64_t line) {
        loops.gather(rays.upright[line], 0, values_of(line), &lines[line * pitch]);
      });
    parallel_for(rays.planes.count, threads, [&](std::int64_t plane) {
      thread_local std::vector<float> voxels;
      voxels.resize(pitch);
      for (std::int64_t i = 0; i < rays.lines; ++i) {
        const UprightLine& line = rays.upright[i];
        if (plane < line.begin || plane >= line.end) continue;
        if (!same) loops.gather(line, plane, values_of(i), voxels.data());
        loops.share(line, plane, same ? &lines[i * pitch] : voxels.data(), volume + kMarginBefore);
      }
    });
  }

  VolumeGrid grid_;
  std::vector<Detector> detectors_;
  std::vector<Rays> rays_;
  std::vector<std::unique_ptr<Layout>> layouts_;
};

const ProjectionLoops& choose_loops() {
#ifdef PHOTOPEAK_X86_LOOPS
  switch (choose_simd()) {
    case Simd::avx512: return projection_loops_avx512;
    case Simd::avx2: return projection_loops_avx2;
    case Simd::baseline: break;
  }
#endif
  return projection_loops_baseline;
}

}  // namespace

const ProjectionLoops& projection_loops() {
  static const ProjectionLoops& chosen = choose_loops();
  return chosen;
}

const UprightLoops& upright_loops() {
#ifdef PHOTOPEAK_X86_LOOPS
  if (&projection_loops() == &projection_loops_avx512) return upright_loops_avx512;
  if (&projection_loops() == &projection_loops_avx2) return upright_loops_avx2;
#endif
  return upright_loops_baseline;
}

std::unique_ptr<Projection> cpu_projection(const VolumeGrid& grid, const std::vector<Detector>& detectors) {
  // Places in a volume are counted in 32 bits, as gathers take them.
  if (std::max(scratch_size(1, grid), scratch_size(2, grid)) > INT32_MAX)
    throw UsageError("a volume of " + std::to_string(grid.voxels()) + " voxels is too large; use fewer than 2e9.");
  if (auto orthogonal = orthogonal_projection(grid, detectors)) return orthogonal;
  return std::make_unique<CpuProjection>(grid, detectors);
}

}  // namespace photopeak
