#include "arrays.hpp"

#include <cmath>

#include "frame_body.hpp"

namespace photopeak {
namespace {

// C-contiguous, and each element where its type may lie.
bool is_plain(const py::array& array) {
  constexpr int wanted = py::array::c_style | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  return (array.flags() & wanted) == wanted;
}

std::optional<Stored> integer_type_of(const py::dtype& dtype) {
  const char order = dtype.byteorder();
  const bool native = order == '=' || order == '|';
  const bool is_unsigned = dtype.kind() == 'u';
  if (native && (is_unsigned || dtype.kind() == 'i')) switch (dtype.itemsize()) {
      case 1: return is_unsigned ? Stored::u8 : Stored::i8;
      case 2: return is_unsigned ? Stored::u16 : Stored::i16;
      case 4: return is_unsigned ? Stored::u32 : Stored::i32;
    }
  return std::nullopt;
}

}  // namespace

std::string describe(const py::array& array) {
  std::string text = py::str(static_cast<const py::object&>(array.dtype())).cast<std::string>() + " of shape (";
  for (py::ssize_t i = 0; i < array.ndim(); ++i) text += (i ? ", " : "") + std::to_string(array.shape(i));
  return text + (array.ndim() == 1 ? ",)" : ")") + (is_plain(array) ? "" : ", not C-contiguous and aligned");
}

Shape shape_of(const py::array& array, const char* name) {
  if (array.ndim() != 3 || array.size() == 0 || !is_plain(array))
    throw InputError(std::string(name) + " is " + describe(array) +
                     "; give a non-empty C-contiguous aligned (n, rows, columns) array.");
  const Shape shape{array.shape(0), array.shape(1), array.shape(2)};
  if (shape.pixels() > INT32_MAX)
    throw InputError(std::string(name) + " has " + std::to_string(shape.pixels()) +
                     " pixels in a frame; the limit is 2147483647.");
  return shape;
}

Shape float_shape_of(const py::array& array, const char* name) {
  if (!py::isinstance<py::array_t<float>>(array))
    throw InputError(std::string(name) + " is " + describe(array) + "; give float32 in native byte order.");
  return shape_of(array, name);
}

Stored stored_type_of(const py::dtype& dtype) {
  const std::optional<Stored> type = integer_type_of(dtype);
  if (type) return *type;
  throw InputError("Stored values cannot be " + py::str(static_cast<const py::object&>(dtype)).cast<std::string>() +
                   "; use integers of 8, 16 or 32 bits in native byte order.");
}

Stored pixel_type_of(const py::array& array, const char* name) {
  if (py::isinstance<py::array_t<float>>(array)) return Stored::f32;
  const std::optional<Stored> type = integer_type_of(array.dtype());
  if (type) return *type;
  throw InputError(std::string(name) + " is " + describe(array) +
                   "; give float32, or integers of 8, 16 or 32 bits, in native byte order.");
}

PerFrame per_frame(const py::object& value, std::int64_t frames, const char* name) {
  if (PyFloat_Check(value.ptr()) || PyLong_Check(value.ptr())) return {value.cast<double>(), {}};
  const auto array = py::array_t<double, py::array::c_style | py::array::forcecast>::ensure(value);
  if (!array) throw py::error_already_set();
  if (array.ndim() == 0) return {*array.data(), {}};
  if (array.ndim() != 1 || array.shape(0) != frames)
    throw InputError(std::string(name) + " is " + describe(array) + "; give one number, or one for each of the " +
                     std::to_string(frames) + " frames.");
  return {0.0, std::vector<double>(array.data(), array.data() + frames)};
}

std::vector<Rescale> rescale_of(const py::object& slope, const py::object& intercept, std::int64_t frames) {
  const PerFrame slopes = per_frame(slope, frames, "slope"), intercepts = per_frame(intercept, frames, "intercept");
  std::vector<Rescale> rescale(static_cast<std::size_t>(frames));
  for (std::size_t i = 0; i < rescale.size(); ++i) {
    rescale[i] = {slopes[i], intercepts[i]};
    if (!(slopes[i] > 0) || slopes[i] - slopes[i] != 0 || intercepts[i] - intercepts[i] != 0)
      throw InputError("Frame " + std::to_string(i) + " has slope " + std::to_string(slopes[i]) + " and intercept " +
                       std::to_string(intercepts[i]) + "; the slope must be positive and both finite.");
  }
  return rescale;
}

std::vector<Contrast> contrast_of(const py::object& low, const py::object& high, std::int64_t frames) {
  const PerFrame lows = per_frame(low, frames, "low"), highs = per_frame(high, frames, "high");
  std::vector<Contrast> contrast(static_cast<std::size_t>(frames));
  for (std::size_t i = 0; i < contrast.size(); ++i) {
    if (!(lows[i] <= highs[i]) || !std::isfinite(highs[i] - lows[i]))
      throw InputError("Frame " + std::to_string(i) + " would be normalised from " + std::to_string(lows[i]) + " to " +
                       std::to_string(highs[i]) + "; give finite limits, the low one first.");
    const float from = static_cast<float>(lows[i]);
    contrast[i] = {from, inverse_width(from, static_cast<float>(highs[i]))};
  }
  return contrast;
}

Keep keep_of(const std::string& name) {
  if (name == "sum") return Keep::sum;
  if (name == "mean") return Keep::mean;
  if (name == "none") return Keep::none;
  throw UsageError("'" + name + "' cannot be kept; use 'sum', 'mean' or 'none'.");
}

py::array output(const std::optional<py::array>& out, const py::dtype& dtype,
                 std::initializer_list<py::ssize_t> shape) {
  if (!out) return py::array(dtype, shape);
  const bool same_shape =
      out->ndim() == static_cast<py::ssize_t>(shape.size()) && std::equal(shape.begin(), shape.end(), out->shape());
  // The usual types are the same objects; only others need to be compared.
  const auto given = out->dtype();
  if (!same_shape || !(given.is(dtype) || given.equal(dtype)) || !is_plain(*out) || !out->writeable()) {
    std::string wanted;
    for (const auto length : shape) wanted += (wanted.empty() ? "" : ", ") + std::to_string(length);
    throw InputError("out is " + describe(*out) + (out->writeable() ? "" : ", read-only") + "; give a writable " +
                     py::str(static_cast<const py::object&>(dtype)).cast<std::string>() + " array of shape (" + wanted +
                     ").");
  }
  return *out;
}

void check_apart(const py::array& in, const py::array& out) {
  const char* a = static_cast<const char*>(in.data());
  const char* b = static_cast<const char*>(out.data());
  if (a < b + out.nbytes() && b < a + in.nbytes())
    throw UsageError("out shares memory with the input; give memory of its own.");
}

const FrameOperations& operations(const std::string& device, int threads) {
  if (threads < 1) throw UsageError("threads is " + std::to_string(threads) + "; give 1 or more.");
  if (device == "cpu") return cpu_operations();
  if (device != "cuda") throw UsageError("'" + device + "' is no device; use 'cpu' or 'cuda'.");
#ifdef PHOTOPEAK_WITH_CUDA
  return cuda_operations();
#else
  throw DeviceError("This build of Photopeak has no CUDA code; build it where nvcc is, with PHOTOPEAK_CUDA=ON.");
#endif
}

}  // namespace photopeak
