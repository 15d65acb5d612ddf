#include <pybind11/pybind11.h>

PYBIND11_MODULE(_native, m, pybind11::mod_gil_not_used()) { m.doc() = "Frame operations."; }
