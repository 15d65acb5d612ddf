// Queues and pipelines of a device for Python.
#pragma once

#include <pybind11/pybind11.h>

namespace photopeak {

void register_device_pipeline(pybind11::module_& m);

}  // namespace photopeak
