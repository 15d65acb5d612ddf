// From Python arguments to checked pointers. These checks run on every call, so they touch no Python code.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "frame_operations.hpp"

namespace photopeak {

namespace py = pybind11;

std::string describe(const py::array& array);

// A C-contiguous (n, rows, columns) stack of any element type, none of the lengths zero.
Shape shape_of(const py::array& array, const char* name);

// The same of float32, or InputError.
Shape float_shape_of(const py::array& array, const char* name);

// InputError for anything but integers of 8, 16 or 32 bits in native byte order.
Stored stored_type_of(const py::dtype& dtype);

// The same of an array that may also be float32.
Stored pixel_type_of(const py::array& array, const char* name);

// One value for each frame, or one for all of them without memory for each.
struct PerFrame {
  double all;
  std::vector<double> each;
  double operator[](std::size_t frame) const { return each.empty() ? all : each[frame]; }
};

// From a number or an array of n numbers.
PerFrame per_frame(const py::object& value, std::int64_t frames, const char* name);
std::vector<Rescale> rescale_of(const py::object& slope, const py::object& intercept, std::int64_t frames);

// Limits as float32; {0, 1} when there are none.
std::vector<Contrast> contrast_of(const py::object& low, const py::object& high, std::int64_t frames);

Keep keep_of(const std::string& name);

// `out` when given, after checking it, else a new array.
py::array output(const std::optional<py::array>& out, const py::dtype& dtype, std::initializer_list<py::ssize_t> shape);

// Refuses an output that shares memory with an input.
void check_apart(const py::array& in, const py::array& out);

// The implementation for "cpu" or "cuda"; also refuses fewer than one thread.
const FrameOperations& operations(const std::string& device, int threads);

}  // namespace photopeak
