// What each file of bindings adds to the module.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

namespace photopeak {

namespace py = pybind11;

void register_curve(py::module_& m);
void register_level_set(py::module_& m);
void register_projection(py::module_& m);
void register_variation(py::module_& m);

}  // namespace photopeak
