// A gamma camera of bodies that a device calls, see projection_portable.hpp for what a device is.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "camera_body.hpp"
#include "projection_rays.hpp"

namespace photopeak {

template <class Device>
class PortableCamera final : public Projection {
  template <class T>
  using Buffer = typename Device::template Buffer<T>;

 public:
  PortableCamera(const VolumeGrid& grid, const std::vector<Detector>& detectors, const Camera& camera,
                 const float* attenuation)
      : grid_(grid) {
    for (const Detector& detector : detectors)
      views_.push_back(std::make_unique<View>(grid, detector, frame_of(grid, detector, camera), camera.efficiency));
    if (!attenuation) return;
    const Buffer<float> map(attenuation, grid.voxels());
    for (const auto& view : views_) view->attenuate(grid, map.get());
  }

  void forward(const float* volume, float* const* images, int) const override {
    const Buffer<float> values(volume, grid_.voxels());
    for (std::size_t i = 0; i < views_.size(); ++i) views_[i]->look(grid_, values.get(), images[i]);
  }

  void adjoint(const float* const* images, float* volume, int) const override {
    Buffer<float> values(grid_.voxels());
    values.clear();
    for (std::size_t i = 0; i < views_.size(); ++i) views_[i]->spread(grid_, images[i], values.get());
    values.download(volume);
  }

 private:
  class View {
   public:
    View(const VolumeGrid& grid, const Detector& detector, CameraFrame frame, double efficiency)
        : frame_(std::move(frame)),
          shape_{frame_.planes, frame_.lines, grid.size[2]},
          factor_(frame_.step * static_cast<float>(efficiency)),
          places_(of(line_places(grid, frame_))),
          across_(of(frame_.across)),
          along_(of(frame_.along)),
          of_lines_(of(readers(frame_.across, shape_.lines))),
          of_elements_(of(readers(frame_.along, shape_.size))),
          pixels_(detector.pixels()) {}

    void attenuate(const VolumeGrid& grid, const float* map) {
      const Buffer<float> turned(shape_.planes * shape_.plane());
      left_ = std::make_unique<Buffer<float>>(shape_.planes * shape_.plane());
      Device::for_each(shape_.planes * shape_.plane(),
                       TurnVolume{shape_, places_.get(), nullptr, 1.0f, grid.size[0], grid.size[1], map, turned.get()});
      Device::for_each(shape_.plane(), Attenuate{shape_, frame_.step, turned.get(), left_->get()});
    }

    void look(const VolumeGrid& grid, const float* volume, float* image) const {
      const Buffer<float> turned(shape_.planes * shape_.plane());
      Device::for_each(shape_.planes * shape_.plane(), TurnVolume{shape_, places_.get(), left(), factor_, grid.size[0],
                                                                  grid.size[1], volume, turned.get()});
      Buffer<float> plane(shape_.plane()), blurred(shape_.plane());
      plane.clear();
      for (std::int64_t depth = shape_.planes - 1; depth >= 0; --depth) {
        add_plane(turned.get() + depth * shape_.plane(), plane.get());
        for (const Blur& kernel : frame_.blurs[depth]) blur_plane(kernel, plane.get(), blurred.get(), plane.get());
      }
      const Buffer<float> out(pixels_);
      Device::for_each(pixels_, ReadPlane{map(), plane.get(), out.get()});
      out.download(image);
    }

    void spread(const VolumeGrid& grid, const float* image, float* volume) const {
      const Buffer<float> in(image, pixels_), blurred(shape_.plane()), planes(shape_.planes * shape_.plane());
      Device::for_each(shape_.plane(), WritePlane{map(), of_lines_.get(), of_elements_.get(), in.get(), planes.get()});
      for (std::int64_t depth = 0; depth < shape_.planes; ++depth) {
        float* const here = planes.get() + depth * shape_.plane();
        if (depth > 0) copy(here - shape_.plane(), here);
        const auto& blurs = frame_.blurs[depth];
        for (auto blur = blurs.rbegin(); blur != blurs.rend(); ++blur) blur_plane(*blur, here, blurred.get(), here);
      }
      TurnBack back{shape_, places_.get(), left(), factor_, grid.size[0], grid.size[1], {}, {}, 0,
                    0,      planes.get(),  volume};
      find_inverse(back);
      Device::for_each(grid.voxels(), back);
    }

   private:
    template <class T>
    static Buffer<T> of(const std::vector<T>& values) {
      return Buffer<T>(values.data(), static_cast<std::int64_t>(values.size()));
    }

    static std::vector<LinePlace> line_places(const VolumeGrid& grid, const CameraFrame& frame) {
      const Planes planes = planes_along(1, grid);
      std::vector<LinePlace> places;
      for (const FrameLine& line : frame.places) {
        LinePlace place{-2, -2, {}};
        if (line.place >= 0) {
          place.y = (line.place - kAligned) / planes.stride - kMarginBefore;
          place.x = (line.place - kAligned) % planes.stride / planes.a_stride - kMarginBefore;
          std::copy_n(line.weight, 4, place.weight);
        }
        places.push_back(place);
      }
      return places;
    }

    static std::vector<Readers> readers(const std::vector<Reading>& readings, std::int64_t size) {
      std::vector<Readers> all(static_cast<std::size_t>(size), Readers{static_cast<std::int32_t>(readings.size()), 0});
      for (std::size_t i = 0; i < readings.size(); ++i)
        for (std::int64_t place = readings[i].place; place <= readings[i].place + 1; ++place) {
          if (place < 0 || place >= size) continue;
          all[place].begin = std::min(all[place].begin, static_cast<std::int32_t>(i));
          all[place].end = std::max(all[place].end, static_cast<std::int32_t>(i + 1));
        }
      return all;
    }

    // Where in the frame a voxel is, and how far the samples that read it lie.
    void find_inverse(TurnBack& back) const {
      const double *deep = frame_.deep, *wide = frame_.wide, *corner = frame_.corner;
      const double determinant = deep[0] * wide[1] - deep[1] * wide[0];
      back.plane[1] = wide[1] / determinant, back.plane[2] = -wide[0] / determinant;
      back.line[1] = -deep[1] / determinant, back.line[2] = deep[0] / determinant;
      for (double* row : {back.plane, back.line}) row[0] = -row[1] * corner[0] - row[2] * corner[1];
      back.plane_reach = std::abs(back.plane[1]) + std::abs(back.plane[2]) + 1e-3;
      back.line_reach = std::abs(back.line[1]) + std::abs(back.line[2]) + 1e-3;
    }

    const float* left() const { return left_ ? left_->get() : nullptr; }
    PixelMap map() const {
      return {shape_,
              across_.get(),
              along_.get(),
              static_cast<std::int64_t>(frame_.across.size()),
              static_cast<std::int64_t>(frame_.along.size()),
              frame_.down};
    }
    void blur_plane(const Blur& blur, const float* from, float* between, float* to) const {
      Device::for_each(shape_.plane(), BlurPlane{shape_, blur, false, from, between});
      Device::for_each(shape_.plane(), BlurPlane{shape_, blur, true, between, to});
    }
    void copy(const float* from, float* to) const { Device::for_each(shape_.plane(), AddPlane{from, nullptr, to}); }
    void add_plane(const float* more, float* plane) const {
      Device::for_each(shape_.plane(), AddPlane{more, plane, plane});
    }

    CameraFrame frame_;
    FrameShape shape_;
    float factor_;
    Buffer<LinePlace> places_;
    Buffer<Reading> across_, along_;
    Buffer<Readers> of_lines_, of_elements_;
    std::int64_t pixels_;
    std::unique_ptr<Buffer<float>> left_;
  };

  VolumeGrid grid_;
  std::vector<std::unique_ptr<View>> views_;
};

}  // namespace photopeak
