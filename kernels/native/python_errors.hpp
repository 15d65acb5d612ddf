// The one boundary where C++ exceptions become Python's.
#pragma once

#include <pybind11/pybind11.h>

#include "errors.hpp"

namespace photopeak {

inline void register_errors() {
  namespace py = pybind11;
  static const py::object* classes[3];
  auto errors = py::module_::import("photopeak.kernels.errors");
  const char* names[3] = {"InputError", "UsageError", "DeviceError"};
  // Exceptions outlive the module, so their classes are never released.
  for (int i = 0; i < 3; ++i) classes[i] = new py::object(errors.attr(names[i]));
  py::register_local_exception_translator([](std::exception_ptr raised) {
    const auto set = [](int i, const std::exception& e) { py::set_error(*classes[i], e.what()); };
    try {
      if (raised) std::rethrow_exception(raised);
    } catch (const InputError& e) {
      set(0, e);
    } catch (const UsageError& e) {
      set(1, e);
    } catch (const DeviceError& e) {
      set(2, e);
    }
  });
}

}  // namespace photopeak
