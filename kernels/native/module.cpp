// The Python module: one function for each file of bindings.
#include "module.hpp"

#include "python_errors.hpp"

PYBIND11_MODULE(_native, m, pybind11::mod_gil_not_used()) {
  photopeak::register_errors();
  photopeak::register_curve(m);
  photopeak::register_level_set(m);
  photopeak::register_projection(m);
  photopeak::register_variation(m);
}
