// The model of a wire's images and the search for it, as Python calls them.
#include <pybind11/stl.h>

#include <array>
#include <cstring>
#include <utility>

#include "curve_search.hpp"
#include "errors.hpp"
#include "module.hpp"
#include "parallel.hpp"

namespace photopeak {
namespace {

using curve::Fitter;
using curve::Loss;
using curve::Model;
using curve::Points;
using curve::SearchOptions;
using curve::State;
using Floats = py::array_t<float, py::array::c_style | py::array::forcecast>;
using Doubles = py::array_t<double, py::array::c_style | py::array::forcecast>;
using Found = std::pair<Doubles, double>;

Points to_points(const Doubles& controls) {
  if (controls.ndim() != 2 || controls.shape(1) != 3 || controls.shape(0) < 4)
    throw UsageError("a spline needs four or more control points of three coordinates.");
  Points points(controls.shape(0));
  std::memcpy(points.data(), controls.data(), sizeof(double) * controls.size());
  return points;
}

Doubles from_points(const Points& points) {
  Doubles result({static_cast<py::ssize_t>(points.size()), py::ssize_t{3}});
  std::memcpy(result.mutable_data(), points.data(), sizeof(double) * 3 * points.size());
  return result;
}

std::vector<float> to_image(const Model& model, const Floats& image) {
  if (image.size() != model.pixels())
    throw UsageError("an image has another number of pixels than the views together.");
  return {image.data(), image.data() + image.size()};
}

Floats from_image(const std::vector<float>& image) {
  return Floats(static_cast<py::ssize_t>(image.size()), image.data());
}

Model make_model(const std::vector<std::tuple<Doubles, int, int>>& views, const Floats& measured,
                 const Floats& variance, const Floats& kernel, const Floats& slope, double kernel_step,
                 double attenuation, std::array<double, 3> center, double radius, int samples) {
  Model model;
  int offset = 0;
  for (const auto& [matrix, rows, columns] : views) {
    if (matrix.size() != 12) throw UsageError("the matrix of a view has 3 x 4 elements.");
    curve::View view;
    std::memcpy(view.projection, matrix.data(), sizeof view.projection);
    view.rows = rows;
    view.columns = columns;
    view.offset = offset;
    offset += rows * columns;
    model.views.push_back(view);
  }
  if (measured.size() != offset || variance.size() != offset)
    throw UsageError("measured values and variances must be as many as the pixels of all views.");
  if (kernel.size() < 2 || kernel.size() != slope.size() || !(kernel_step > 0))
    throw UsageError("the kernel and its slope must be tables of one length.");
  model.measured.assign(measured.data(), measured.data() + offset);
  model.variance.assign(variance.data(), variance.data() + offset);
  model.kernel.assign(kernel.data(), kernel.data() + kernel.size());
  model.slope.assign(slope.data(), slope.data() + slope.size());
  model.kernel_step = kernel_step;
  model.support = std::sqrt(kernel_step * static_cast<double>(kernel.size() - 1));
  model.attenuation = attenuation;
  std::copy(center.begin(), center.end(), model.sac_center);
  model.sac_radius = radius;
  model.samples = samples;
  return model;
}

Floats render(const Model& model, const Doubles& controls) {
  const Points points = to_points(controls);
  std::vector<float> image(model.pixels(), 0);
  model.add(points, 0, curve::spans(points), 1, image.data());
  return from_image(image);
}

// An objective of a whole curve: what it changes in the loss of the image without it, and its prior.
double whole(const Model& model, const Points& points, const std::vector<float>& base, const Loss& loss) {
  std::vector<float> image = base;
  model.add(points, 0, curve::spans(points), 1, image.data());
  return model.image_loss(image.data(), loss) - model.image_loss(base.data(), loss) +
         model.prior(points, 0, static_cast<int>(points.size()), loss);
}

Found fit(const Model& model, const Doubles& controls, const Floats& base, const Loss& loss, int iterations) {
  Points points = to_points(controls);
  std::vector<float> image = to_image(model, base);
  double value;
  {
    py::gil_scoped_release release;
    Fitter fitter(model);
    model.add(points, 0, curve::spans(points), 1, image.data());
    value = fitter.fit(points, 0, static_cast<int>(points.size()), image.data(), loss, iterations);
  }
  return {from_points(points), value};
}

std::vector<Found> to_found(const std::vector<State>& states) {
  std::vector<Found> found;
  for (const State& state : states) found.emplace_back(from_points(state.controls), state.objective);
  return found;
}

std::vector<Found> seeds(const Model& model, const Floats& base, const Loss& loss, const SearchOptions& options) {
  const std::vector<float> image = to_image(model, base);
  std::vector<State> states;
  {
    py::gil_scoped_release release;
    states = curve::find_seeds(model, image, loss, options);
  }
  return to_found(states);
}

std::vector<std::vector<Found>> grow(const Model& model, const std::vector<Doubles>& starts, const Floats& base,
                                     const Loss& loss, const SearchOptions& options, int count, int threads) {
  const std::vector<float> image = to_image(model, base);
  std::vector<State> states;
  for (const Doubles& controls : starts) {
    states.emplace_back();
    states.back().controls = to_points(controls);
    states.back().image = image;
  }
  std::vector<std::vector<State>> grown(states.size());
  {
    py::gil_scoped_release release;
    parallel_for(static_cast<std::int64_t>(states.size()), threads, [&](std::int64_t i) {
      State& state = states[i];
      state.objective = whole(model, state.controls, image, loss);
      model.add(state.controls, 0, curve::spans(state.controls), 1, state.image.data());
      grown[i] = curve::grow(model, state, loss, options, count);
    });
  }
  std::vector<std::vector<Found>> result;
  for (const auto& found : grown) result.push_back(to_found(found));
  return result;
}

Doubles covariance(const Model& model, const Doubles& controls, const Floats& base, const Loss& loss) {
  const Points points = to_points(controls);
  std::vector<float> image = to_image(model, base);
  model.add(points, 0, curve::spans(points), 1, image.data());
  const std::vector<double> blocks = Fitter(model).covariance(points, image.data(), loss);
  const auto count = static_cast<py::ssize_t>(blocks.size() / 9);
  Doubles result({count, py::ssize_t{3}, py::ssize_t{3}});
  std::copy(blocks.begin(), blocks.end(), result.mutable_data());
  return result;
}

}  // namespace

void register_curve(py::module_& m) {
  py::class_<Loss>(m, "CurveLoss")
      .def(py::init([](double tolerance, double reach, double spacing, double bend, double twist) {
             return Loss{tolerance, reach, spacing, bend, twist};
           }),
           py::kw_only(), py::arg("tolerance"), py::arg("reach"), py::arg("spacing"), py::arg("bend"),
           py::arg("twist"));
  py::class_<SearchOptions>(m, "CurveSearch")
      .def(py::init(
               [](int seeds, int beam, int children, int iterations, int patience, int longest, std::uint64_t seed) {
                 SearchOptions options;
                 options.seeds = seeds;
                 options.beam = beam;
                 options.children = children;
                 options.iterations = iterations;
                 options.patience = patience;
                 options.longest = longest;
                 options.random_seed = seed;
                 return options;
               }),
           py::kw_only(), py::arg("seeds"), py::arg("beam"), py::arg("children"), py::arg("iterations"),
           py::arg("patience"), py::arg("longest"), py::arg("seed"));
  py::class_<Model>(m, "CurveModel")
      .def(py::init(&make_model), py::kw_only(), py::arg("views"), py::arg("measured"), py::arg("variance"),
           py::arg("kernel"), py::arg("slope"), py::arg("kernel_step"), py::arg("attenuation"), py::arg("center"),
           py::arg("radius"), py::arg("samples"))
      .def_readwrite("attenuation", &Model::attenuation)
      .def("render", &render, py::arg("controls"))
      .def("fit", &fit, py::arg("controls"), py::arg("base"), py::arg("loss"), py::arg("iterations"))
      .def(
          "loss",
          [](const Model& model, const Floats& image, const Loss& loss) {
            return model.image_loss(to_image(model, image).data(), loss);
          },
          py::arg("image"), py::arg("loss"))
      .def("seeds", &seeds, py::arg("base"), py::arg("loss"), py::arg("search"))
      .def("grow", &grow, py::arg("starts"), py::arg("base"), py::arg("loss"), py::arg("search"), py::arg("count"),
           py::arg("threads"))
      .def("covariance", &covariance, py::arg("controls"), py::arg("base"), py::arg("loss"));
  m.def(
      "spline_points",
      [](const Doubles& controls, int samples) {
        return from_points(curve::spline_points(to_points(controls), samples));
      },
      py::arg("controls"), py::arg("samples"));
}

}  // namespace photopeak
