#include <pybind11/stl.h>

#include "arrays.hpp"
#include "frame_loops.hpp"

namespace photopeak {
namespace {

using Out = std::optional<py::array>;

void register_errors(py::module_& m) {
  static const py::object* classes[3];
  auto errors = py::module_::import("photopeak.engine.errors");
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
  m.def("instruction_set", [] { return loops().name; });
}

// Runs the loops without the interpreter's lock.
template <class Work>
void unlocked(Work&& work) {
  py::gil_scoped_release release;
  work();
}

float* floats(py::array& array) { return static_cast<float*>(array.mutable_data()); }
const float* floats(const py::array& array) { return static_cast<const float*>(array.data()); }

py::array to_float(const py::array& stored, const py::object& slope, const py::object& intercept, const Out& out,
                   int threads, const std::string& device) {
  const FrameOperations& on = operations(device, threads);
  const Shape shape = shape_of(stored, "stored");
  const Stored type = stored_type_of(stored.dtype());
  const auto rescale = rescale_of(slope, intercept, shape.frames);
  py::array result = output(out, py::dtype::of<float>(), {shape.frames, shape.rows, shape.columns});
  check_apart(stored, result);
  const void* in = stored.data();
  float* pixels = floats(result);
  unlocked([&] { on.to_float(in, type, shape, rescale.data(), pixels, threads); });
  return result;
}

py::array to_stored(const py::array& frames, const py::object& slope, const py::object& intercept,
                    const py::dtype& dtype, bool keep_sum, const Out& out, int threads, const std::string& device) {
  const FrameOperations& on = operations(device, threads);
  const Shape shape = float_shape_of(frames, "frames");
  const Stored type = stored_type_of(dtype);
  if (type == Stored::u32) throw InputError("Pixels cannot be rounded to uint32; use int32 or a narrower type.");
  const auto rescale = rescale_of(slope, intercept, shape.frames);
  py::array result = output(out, dtype, {shape.frames, shape.rows, shape.columns});
  check_apart(frames, result);
  const float* in = floats(frames);
  void* pixels = result.mutable_data();
  unlocked([&] { on.to_stored(in, shape, rescale.data(), type, keep_sum, pixels, threads); });
  return result;
}

py::array resize(const py::array& frames, Shape from, Shape to, const Out& out, int threads,
                 const FrameOperations& on) {
  py::array result = output(out, py::dtype::of<float>(), {to.frames, to.rows, to.columns});
  check_apart(frames, result);
  const float* in = floats(frames);
  float* pixels = floats(result);
  unlocked([&] { on.resize(in, from, pixels, to, threads); });
  return result;
}

py::array pad_reflect(const py::array& frames, std::int64_t multiple, const Out& out, int threads,
                      const std::string& device) {
  const FrameOperations& on = operations(device, threads);
  const Shape from = float_shape_of(frames, "frames");
  if (multiple < 1 || multiple > 65536)
    throw UsageError("multiple is " + std::to_string(multiple) + "; give 1 to 65536.");
  const auto up = [&](std::int64_t n) { return (n + multiple - 1) / multiple * multiple; };
  return resize(frames, from, {from.frames, up(from.rows), up(from.columns)}, out, threads, on);
}

py::array crop(const py::array& frames, std::int64_t rows, std::int64_t columns, const Out& out, int threads,
               const std::string& device) {
  const FrameOperations& on = operations(device, threads);
  const Shape from = float_shape_of(frames, "frames");
  if (rows < 1 || rows > from.rows || columns < 1 || columns > from.columns)
    throw InputError("Cannot crop " + describe(frames) + " to " + std::to_string(rows) + " rows and " +
                     std::to_string(columns) + " columns; give sizes inside the frame.");
  return resize(frames, from, {from.frames, rows, columns}, out, threads, on);
}

void register_conversion(py::module_& m) {
  m.def("to_float", to_float);
  m.def("to_stored", to_stored);
}

void register_shape(py::module_& m) {
  m.def("pad_reflect", pad_reflect);
  m.def("crop", crop);
}

}  // namespace
}  // namespace photopeak

PYBIND11_MODULE(_native, m, pybind11::mod_gil_not_used()) {
  m.doc() = "Frame operations on the CPU and on CUDA devices.";
  photopeak::register_errors(m);
  photopeak::register_conversion(m);
  photopeak::register_shape(m);
}
