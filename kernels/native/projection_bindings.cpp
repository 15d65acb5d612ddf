// Projectors, as Python calls them.
#include <pybind11/stl.h>

#include <optional>
#include <string>

#include "camera.hpp"
#include "module.hpp"
#include "projection.hpp"

namespace photopeak {
namespace {

using Array = py::array_t<float, py::array::c_style>;
using Three = std::array<double, 3>;

// Sizes beyond this have no place in memory, and products of them none in 64 bits.
constexpr double kMostVoxels = 1e12, kMostPixels = INT32_MAX;

void copy(const Three& from, double* to) { std::copy(from.begin(), from.end(), to); }

VolumeGrid grid_of(const std::array<std::int64_t, 3>& size, const Three& spacing, const Three& first) {
  if (static_cast<double>(size[0]) * static_cast<double>(size[1]) * static_cast<double>(size[2]) > kMostVoxels)
    throw UsageError("a volume of " + std::to_string(size[2]) + " x " + std::to_string(size[1]) + " x " +
                     std::to_string(size[0]) + " voxels is too large; use fewer than 2e9.");
  VolumeGrid grid;
  std::copy(size.begin(), size.end(), grid.size);
  copy(spacing, grid.spacing);
  copy(first, grid.first);
  return grid;
}

Detector detector_of(std::int64_t rows, std::int64_t columns, const std::array<Three, 3>& pixels, bool cone,
                     const Three& origin) {
  if (static_cast<double>(rows) * static_cast<double>(columns) > kMostPixels)
    throw UsageError("a view of " + std::to_string(rows) + " x " + std::to_string(columns) +
                     " pixels is too large; use fewer than 2e9.");
  Detector detector;
  detector.rows = rows;
  detector.columns = columns;
  copy(pixels[0], detector.first);
  copy(pixels[1], detector.right);
  copy(pixels[2], detector.down);
  detector.cone = cone;
  copy(origin, detector.origin);
  return detector;
}

// What projects, and the shapes of what it takes and gives.
class Projector {
 public:
  Projector(const VolumeGrid& grid, std::vector<Detector> detectors, const std::string& device)
      : grid_(grid), detectors_(std::move(detectors)) {
    const py::gil_scoped_release release;
    const auto make = device == "cpu" ? cpu_projection : device == "cuda" ? cuda_projection : host_projection;
    projection_ = make(grid_, detectors_);
  }

  Projector(const VolumeGrid& grid, std::vector<Detector> detectors, const std::string& device, const Camera& camera,
            const std::optional<Array>& attenuation)
      : grid_(grid), detectors_(std::move(detectors)) {
    const float* const map = attenuation ? attenuation->data() : nullptr;
    const py::gil_scoped_release release;
    const auto make = device == "cpu" ? cpu_camera : device == "cuda" ? cuda_camera : host_camera;
    projection_ = make(grid_, detectors_, camera, map);
  }

  py::tuple forward(const Array& volume, int threads) const {
    py::tuple images(detectors_.size());
    std::vector<float*> to;
    for (std::size_t i = 0; i < detectors_.size(); ++i) {
      Array image({detectors_[i].rows, detectors_[i].columns});
      to.push_back(image.mutable_data());
      images[i] = image;
    }
    const py::gil_scoped_release release;
    projection_->forward(volume.data(), to.data(), threads);
    return images;
  }

  Array adjoint(const std::vector<Array>& images, int threads) const {
    Array volume({grid_.size[2], grid_.size[1], grid_.size[0]});
    std::vector<const float*> from;
    for (const Array& image : images) from.push_back(image.data());
    float* const to = volume.mutable_data();
    const py::gil_scoped_release release;
    projection_->adjoint(from.data(), to, threads);
    return volume;
  }

 private:
  VolumeGrid grid_;
  std::vector<Detector> detectors_;
  std::unique_ptr<Projection> projection_;
};

}  // namespace

void register_projection(py::module_& m) {
  py::class_<VolumeGrid>(m, "VolumeGrid")
      .def(py::init(&grid_of), py::arg("size"), py::arg("spacing"), py::arg("first"));
  py::class_<Detector>(m, "Detector")
      .def(py::init(&detector_of), py::arg("rows"), py::arg("columns"), py::arg("pixels"), py::arg("cone"),
           py::arg("origin"));
  py::class_<Camera>(m, "Camera")
      .def(py::init([](double intrinsic, double at_face, double slope, double efficiency) {
             return Camera{intrinsic, at_face, slope, efficiency};
           }),
           py::arg("intrinsic"), py::arg("at_face"), py::arg("slope"), py::arg("efficiency"));
  py::class_<Projector>(m, "Projector")
      .def(py::init<const VolumeGrid&, std::vector<Detector>, const std::string&>(), py::arg("grid"),
           py::arg("detectors"), py::arg("device"))
      .def(py::init<const VolumeGrid&, std::vector<Detector>, const std::string&, const Camera&,
                    const std::optional<Array>&>(),
           py::arg("grid"), py::arg("detectors"), py::arg("device"), py::arg("camera"), py::arg("attenuation"))
      .def("forward", &Projector::forward, py::arg("volume").noconvert(), py::arg("threads"))
      .def("adjoint", &Projector::adjoint, py::arg("images"), py::arg("threads"));
}

}  // namespace photopeak
