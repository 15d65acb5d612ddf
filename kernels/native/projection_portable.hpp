// Projectors of bodies that a device calls for each ray, voxel or element. A device has
//   Buffer<T>(n), Buffer<T>(host, n): memory with get(), clear() and download(host);
//   for_each(n, body): calls body(0) ... body(n - 1).
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "camera_body.hpp"
#include "projection_body.hpp"

namespace photopeak {

template <class Device>
class PortableProjection final : public Projection {
  template <class T>
  using Buffer = typename Device::template Buffer<T>;

 public:
  PortableProjection(const VolumeGrid& grid, const std::vector<Detector>& detectors)
      : grid_(grid), detectors_(detectors) {
    for (std::size_t i = 0; i < detectors.size(); ++i)
      for (const Rays& rays : rays_of(grid, detectors[i], static_cast<std::int64_t>(i), false))
        rays_.push_back(std::make_unique<DeviceRays>(rays, grid));
  }

  void forward(const float* volume, float* const* images, int) const override {
    const Buffer<float> values(volume, grid_.voxels());
    for (std::size_t i = 0; i < detectors_.size(); ++i) {
      Buffer<float> image(detectors_[i].pixels());
      image.clear();
      for (const auto& rays : rays_)
        if (rays->detector == i)
          Device::for_each(rays->table.lines * rays->table.length,
                           LookAlongRay{rays->table, values.get(), image.get()});
      image.download(images[i]);
    }
  }

  void adjoint(const float* const* images, float* volume, int) const override {
    Buffer<float> values(grid_.voxels());
    values.clear();
    for (std::size_t i = 0; i < detectors_.size(); ++i) {
      const Buffer<float> image(images[i], detectors_[i].pixels());
      for (const auto& rays : rays_)
        if (rays->detector == i)
          Device::for_each(grid_.voxels(),
                           CollectForVoxel{rays->table, grid_, detectors_[i], image.get(), values.get()});
    }
    values.download(volume);
  }

 private:
  struct DeviceRays {
    DeviceRays(const Rays& rays, const VolumeGrid& grid)
        : detector(static_cast<std::size_t>(rays.detector)),
          a(of(rays.a)),
          a_step(of(rays.a_step)),
          b(of(rays.b)),
          b_step(of(rays.b_step)),
          path(of(rays.path)),
          begin(of(rays.begin)),
          end(of(rays.end)) {
      const Planes& planes = rays.planes;
      const auto stride = [&](int axis) {
        return axis == 0 ? 1 : axis == 1 ? grid.size[0] : grid.size[0] * grid.size[1];
      };
      table = {a.get(),
               a_step.get(),
               b.get(),
               b_step.get(),
               path.get(),
               begin.get(),
               end.get(),
               rays.lines,
               rays.length,
               rays.pitch,
               rays.down,
               rays.reversed,
               planes.axis,
               planes.a_axis,
               planes.b_axis,
               planes.a_size,
               planes.b_size,
               stride(planes.axis),
               stride(planes.a_axis),
               stride(planes.b_axis)};
    }
    template <class T>
    static Buffer<T> of(const std::vector<T>& values) {
      return Buffer<T>(values.data(), static_cast<std::int64_t>(values.size()));
    }
    std::size_t detector;
    Buffer<float> a, a_step, b, b_step, path;
    Buffer<std::int32_t> begin, end;
    RayTable table;
  };

  VolumeGrid grid_;
  std::vector<Detector> detectors_;
  std::vector<std::unique_ptr<DeviceRays>> rays_;
};

}  // namespace photopeak
