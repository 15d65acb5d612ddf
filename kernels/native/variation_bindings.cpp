// The passes of the primal-dual solver, as Python calls them.
#include <pybind11/stl.h>

#include <array>
#include <string>

#include "errors.hpp"
#include "module.hpp"
#include "variation.hpp"

namespace photopeak {
namespace {

using Array = py::array_t<float, py::array::c_style>;

// Memory of a float32 array of exactly this many values; Python code has chosen the shapes, so a misfit is its bug.
const float* read(const py::array& array, std::int64_t size, const char* name) {
  if (!py::isinstance<Array>(array) || array.size() != size)
    throw UsageError(std::string(name) + " is no C-contiguous float32 array of " + std::to_string(size) + " values.");
  return static_cast<const float*>(array.data());
}

float* write(py::array& array, std::int64_t size, const char* name) {
  read(array, size, name);
  return static_cast<float*>(array.mutable_data());
}

Box box_of(const py::array& value) {
  if (value.ndim() != 3 || value.size() == 0) throw UsageError("a volume has three axes, none of them empty.");
  return {value.shape(0), value.shape(1), value.shape(2)};
}

struct Settings {
  std::array<float, 3> weight;
  float ascent, descent, radius, upper, relaxation;

  VariationStep step() const {
    const auto& w = weight;
    return {{ascent * w[0], ascent * w[1], ascent * w[2]}, {w[0], w[1], w[2]}, radius, descent, upper, relaxation};
  }
};

py::tuple step(py::array value, py::array leading, py::array flow, const py::array& slope, const Settings& settings,
               bool moves, int threads, const std::string& device) {
  const Box box = box_of(value);
  const Iterates iterates{write(value, box.size(), "value"), write(leading, box.size(), "leading"),
                          write(flow, 3 * box.size(), "flow")};
  const float* const data = read(slope, box.size(), "slope");
  Moves found;
  {
    py::gil_scoped_release released;
    if (device == "cuda") {
      found = cuda_variation_step(box, iterates, data, settings.step(), moves);
    } else if (device == "host") {
      found = host_variation_step(box, iterates, data, settings.step(), moves);
    } else {
      found = variation_step(box, iterates, data, settings.step(), moves, threads);
    }
  }
  return py::make_tuple(found.primal, found.dual);
}

py::tuple measure(const py::array& value, const py::array& flow, const py::array& slope, std::array<float, 3> weight,
                  int threads, const std::string& device) {
  const Box box = box_of(value);
  const float *const at = read(value, box.size(), "value"), *const p = read(flow, 3 * box.size(), "flow");
  const float* const data = read(slope, box.size(), "slope");
  Measures found;
  {
    py::gil_scoped_release released;
    if (device == "cuda") {
      found = cuda_measure_variation(box, at, p, data, weight.data());
    } else if (device == "host") {
      found = host_measure_variation(box, at, p, data, weight.data());
    } else {
      found = measure_variation(box, at, p, data, weight.data(), threads);
    }
  }
  return py::make_tuple(found.variation, found.above);
}

void poisson(py::array q, const py::array& mean, const py::array& counts, const py::array& inverse, float step,
             float relaxation, int threads) {
  const std::int64_t n = q.size();
  float* const out = write(q, n, "q");
  const float *const expected = read(mean, n, "mean"), *const measured = read(counts, n, "counts");
  const float* const scale = read(inverse, n, "inverse");
  py::gil_scoped_release released;
  poisson_step(out, expected, measured, scale, step, relaxation, n, threads);
}

void gaussian(py::array q, const py::array& mean, const py::array& measured, const py::array& variance,
              const py::array& inverse, float step, float relaxation, int threads) {
  const std::int64_t n = q.size();
  float* const out = write(q, n, "q");
  const float *const expected = read(mean, n, "mean"), *const given = read(measured, n, "measured");
  const float *const spread = read(variance, n, "variance"), *const scale = read(inverse, n, "inverse");
  py::gil_scoped_release released;
  gaussian_step(out, expected, given, spread, scale, step, relaxation, n, threads);
}

void multiply_by(py::array value, const py::array& ratio, const py::array& inverse, float upper, int threads) {
  const std::int64_t n = value.size();
  float* const out = write(value, n, "value");
  const float *const factor = read(ratio, n, "ratio"), *const scale = read(inverse, n, "inverse");
  py::gil_scoped_release released;
  multiply(out, factor, scale, upper, n, threads);
}

}  // namespace

void register_variation(py::module_& m) {
  py::class_<Settings>(m, "VariationSettings")
      .def(py::init([](std::array<float, 3> weight, float ascent, float descent, float radius, float upper,
                       float relaxation) { return Settings{weight, ascent, descent, radius, upper, relaxation}; }),
           py::kw_only(), py::arg("weight"), py::arg("ascent"), py::arg("descent"), py::arg("radius"), py::arg("upper"),
           py::arg("relaxation"));
  m.def("variation_step", step, py::arg("value"), py::arg("leading"), py::arg("flow"), py::arg("slope"),
        py::arg("settings"), py::kw_only(), py::arg("moves"), py::arg("threads"), py::arg("device") = "cpu");
  m.def("measure_variation", measure, py::arg("value"), py::arg("flow"), py::arg("slope"), py::kw_only(),
        py::arg("weight"), py::arg("threads"), py::arg("device") = "cpu");
  m.def("poisson_step", poisson, py::arg("q"), py::arg("mean"), py::arg("counts"), py::arg("inverse"), py::kw_only(),
        py::arg("step"), py::arg("relaxation"), py::arg("threads"));
  m.def("gaussian_step", gaussian, py::arg("q"), py::arg("mean"), py::arg("measured"), py::arg("variance"),
        py::arg("inverse"), py::kw_only(), py::arg("step"), py::arg("relaxation"), py::arg("threads"));
  m.def("multiply_by", multiply_by, py::arg("value"), py::arg("ratio"), py::arg("inverse"), py::kw_only(),
        py::arg("upper"), py::arg("threads"));
  m.def("variation_loops", variation_loops_name);
}

}  // namespace photopeak
