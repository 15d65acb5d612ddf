#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <string>

#include "jpeg_lossless.hpp"

namespace py = pybind11;

namespace {

using Samples = py::array_t<std::uint16_t, py::array::c_style>;

// Returns an empty text, or why the frame cannot be decoded; the interpreter's lock is released meanwhile.
std::string decode(const py::bytes& data, Samples& out) {
  if (out.ndim() != 2) throw py::value_error("out must have two dimensions");
  char* begin = nullptr;
  py::ssize_t size = 0;
  if (PyBytes_AsStringAndSize(data.ptr(), &begin, &size) != 0) throw py::error_already_set();
  const auto rows = static_cast<std::uint32_t>(out.shape(0)), columns = static_cast<std::uint32_t>(out.shape(1));
  std::uint16_t* samples = out.mutable_data();
  const char* problem = nullptr;
  {
    py::gil_scoped_release release;
    problem = photopeak::decode_jpeg_lossless(reinterpret_cast<const std::uint8_t*>(begin),
                                              static_cast<std::size_t>(size), rows, columns, samples);
  }
  return problem ? problem : "";
}

}  // namespace

PYBIND11_MODULE(_decoders, m, py::mod_gil_not_used()) {
  m.doc() = "Decoders that no safe and permissively licensed library offers.";
  m.def("decode_jpeg_lossless", decode, py::arg("data"), py::arg("out").noconvert());
}
