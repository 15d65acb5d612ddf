// A gamma camera on the CPU: plane after plane of a view, from far to near, blurred by what each distance adds; a view
// is the work of one thread.
#include <cmath>
#include <vector>

#include "camera_loops.hpp"
#include "projection_layout.hpp"

namespace photopeak {
namespace {

class CpuCamera final : public Projection {
 public:
  CpuCamera(const VolumeGrid& grid, const std::vector<Detector>& detectors, const Camera& camera,
            const float* attenuation)
      : grid_(grid), layout_(grid, 1), efficiency_(camera.efficiency) {
    for (const Detector& detector : detectors) views_.push_back({detector, frame_of(grid, detector, camera), {}});
    if (!attenuation) return;
    const ScratchPool::Loan map = layout_.filled(attenuation, 1);
    for (View& view : views_) attenuate(view, map.get());
  }

  void forward(const float* volume, float* const* images, int threads) const override {
    const ScratchPool::Loan lines = layout_.filled(volume, threads);
    parallel_for(static_cast<std::int64_t>(views_.size()), threads, [&](std::int64_t i) {
      const View& view = views_[i];
      Plane plane(*this, view.frame);
      for (std::int64_t depth = view.frame.planes - 1; depth >= 0; --depth) {
        camera_loops().add(plane.shape, depth_of(view, depth), lines.get());
        plane.blur(view.frame.blurs[depth], false);
      }
      read(view, plane.shape, images[i]);
    });
  }

  void adjoint(const float* const* images, float* volume, int threads) const override {
    // Each view goes to lines of its own, and they are added in the order of the views.
    const auto count = static_cast<std::int64_t>(views_.size());
    for (std::int64_t first = 0; first < count; first += threads) {
      std::vector<ScratchPool::Loan> lines;
      for (std::int64_t i = first; i < std::min<std::int64_t>(count, first + threads); ++i)
        lines.push_back(views_[i].frame.exact ? layout_.raw() : layout_.cleared(threads));
      parallel_for(static_cast<std::int64_t>(lines.size()), threads, [&](std::int64_t i) {
        const View& view = views_[first + i];
        Plane plane(*this, view.frame);
        write(view, images[first + i], plane.shape);
        for (std::int64_t depth = 0; depth < view.frame.planes; ++depth) {
          plane.blur(view.frame.blurs[depth], true);
          camera_loops().give(plane.shape, depth_of(view, depth), lines[i].get());
        }
      });
      for (std::size_t i = 0; i < lines.size(); ++i)
        layout_.collect(lines[i].get(), volume, first + static_cast<std::int64_t>(i) > 0, threads);
    }
  }

 private:
  struct View {
    Detector detector;
    CameraFrame frame;
    std::vector<float> left;  // by attenuation, of each element of each plane; empty for all
  };

  // One plane with its margins, and scratch to blur it.
  struct Plane {
    Plane(const CpuCamera& camera, const CameraFrame& frame)
        : memory((frame.lines + 4 * kReach + 1) * camera.pitch() + kAligned),
          shape{frame.lines, camera.grid_.size[2], camera.pitch(), memory.get() + kAligned + kReach * camera.pitch()} {}
    // At the border kernels do not commute: the transpose takes them in the opposite order.
    void blur(const std::vector<Blur>& blurs, bool transposed) {
      float* const scratch = shape.values + (shape.lines + kReach) * shape.pitch;
      for (std::size_t i = 0; i < blurs.size(); ++i)
        camera_loops().blur(shape, blurs[transposed ? blurs.size() - 1 - i : i], scratch);
    }
    Scratch memory;
    CameraPlane shape;
  };

  std::int64_t pitch() const { return (grid_.size[2] + kReach + kAligned - 1) / kAligned * kAligned; }

  CameraDepth depth_of(const View& view, std::int64_t depth) const {
    const CameraFrame& frame = view.frame;
    return {&frame.places[depth * frame.lines],
            view.left.empty() ? nullptr : &view.left[depth * frame.lines * pitch()],
            frame.step * static_cast<float>(efficiency_),
            frame.exact,
            layout_.planes().stride,
            layout_.planes().a_stride};
  }

  // What attenuation leaves on the way from the middle of each element to the detector.
  void attenuate(View& view, const float* map) const {
    const CameraFrame& frame = view.frame;
    Plane plane(*this, frame);
    view.left.resize(frame.planes * frame.lines * pitch());
    std::vector<float> before(frame.lines * pitch());
    for (std::int64_t depth = 0; depth < frame.planes; ++depth) {
      std::fill_n(plane.shape.values, before.size(), 0.0f);
      CameraDepth along = depth_of(view, depth);
      along.left = nullptr, along.factor = frame.step / 2;
      camera_loops().add(plane.shape, along, map);
      for (std::size_t i = 0; i < before.size(); ++i) {
        const float half = plane.shape.values[i];
        view.left[depth * before.size() + i] = std::exp(-(before[i] + half));
        before[i] += 2 * half;
      }
    }
  }

  // Calls body(element of the plane, weight, pixel) for each sample that a pixel reads.
  template <class Body>
  void each_sample(const View& view, Body&& body) const {
    const CameraFrame& frame = view.frame;
    const auto wide = static_cast<std::int64_t>(frame.across.size()),
               high = static_cast<std::int64_t>(frame.along.size());
    for (std::int64_t i = 0; i < wide; ++i)
      for (int a = 0; a < 2; ++a) {
        const std::int64_t line = frame.across[i].place + a;
        const float across = a ? frame.across[i].share : 1 - frame.across[i].share;
        if (line < 0 || line >= frame.lines || across == 0) continue;
        for (std::int64_t j = 0; j < high; ++j) {
          const Reading& along = frame.along[j];
          const std::int64_t pixel = frame.down ? j * wide + i : i * high + j;
          if (along.place >= 0) body(line * pitch() + along.place, across * (1 - along.share), pixel);
          if (along.place >= -1 && along.place + 1 < grid_.size[2])
            body(line * pitch() + along.place + 1, across * along.share, pixel);
        }
      }
  }

  void read(const View& view, const CameraPlane& plane, float* image) const {
    std::fill_n(image, view.detector.pixels(), 0.0f);
    each_sample(view,
                [&](std::int64_t at, float weight, std::int64_t pixel) { image[pixel] += weight * plane.values[at]; });
  }

  void write(const View& view, const float* image, const CameraPlane& plane) const {
    each_sample(view,
                [&](std::int64_t at, float weight, std::int64_t pixel) { plane.values[at] += weight * image[pixel]; });
  }

  VolumeGrid grid_;
  mutable Layout layout_;
  double efficiency_;
  std::vector<View> views_;
};

}  // namespace

const CameraLoops& camera_loops() {
#ifdef PHOTOPEAK_X86_LOOPS
  if (&projection_loops() == &projection_loops_avx512) return camera_loops_avx512;
  if (&projection_loops() == &projection_loops_avx2) return camera_loops_avx2;
#endif
  return camera_loops_baseline;
}

std::unique_ptr<Projection> cpu_camera(const VolumeGrid& grid, const std::vector<Detector>& detectors,
                                       const Camera& camera, const float* attenuation) {
  return std::make_unique<CpuCamera>(grid, detectors, camera, attenuation);
}

}  // namespace photopeak
