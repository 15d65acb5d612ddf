#include <pybind11/stl.h>

#include <cmath>

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
}

void register_build(py::module_& m) {
#ifdef _OPENMP
  static constexpr bool openmp = true;
#else
  static constexpr bool openmp = false;
#endif
#ifdef PHOTOPEAK_WITH_CUDA
  static constexpr bool cuda = true;
#else
  static constexpr bool cuda = false;
#endif
  m.def("build", [] { return py::make_tuple(loops().name, openmp, cuda); });
  m.def("check_device", [](const std::string& device) { operations(device, 1); });
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

py::tuple robust_scale(const py::array& frames, double quantile, int threads, const std::string& device) {
  const FrameOperations& on = operations(device, threads);
  const Shape shape = float_shape_of(frames, "frames");
  if (!(quantile >= 0.5 && quantile <= 1.0))
    throw UsageError("quantile is " + std::to_string(quantile) + "; give 0.5 to 1.");
  py::array_t<float> low(shape.frames), high(shape.frames);
  const float* in = floats(frames);
  float *lows = low.mutable_data(), *highs = high.mutable_data();
  unlocked([&] { on.robust_scale(in, shape, quantile, lows, highs, threads); });
  return py::make_tuple(low, high);
}

py::array normalise(const py::array& frames, const py::object& low, const py::object& high, const Out& out, int threads,
                    const std::string& device) {
  const FrameOperations& on = operations(device, threads);
  const Shape shape = float_shape_of(frames, "frames");
  const std::vector<double> lows = per_frame(low, shape.frames, "low"), highs = per_frame(high, shape.frames, "high");
  for (std::size_t i = 0; i < lows.size(); ++i)
    if (!(lows[i] <= highs[i]) || !std::isfinite(highs[i] - lows[i]))
      throw InputError("Frame " + std::to_string(i) + " would be normalised from " + std::to_string(lows[i]) + " to " +
                       std::to_string(highs[i]) + "; give finite limits, the low one first.");
  const std::vector<float> from(lows.begin(), lows.end()), to(highs.begin(), highs.end());
  py::array result = output(out, py::dtype::of<float>(), {shape.frames, shape.rows, shape.columns});
  const float* in = floats(frames);
  float* pixels = floats(result);
  if (in != pixels) check_apart(frames, result);
  unlocked([&] { on.normalise(in, shape, from.data(), to.data(), pixels, threads); });
  return result;
}

py::array_t<FrameStatistics> statistics(const py::array& frames, int threads, const std::string& device) {
  const FrameOperations& on = operations(device, threads);
  const Shape shape = float_shape_of(frames, "frames");
  py::array_t<FrameStatistics> result(shape.frames);
  const float* in = floats(frames);
  FrameStatistics* rows = result.mutable_data();
  unlocked([&] { on.statistics(in, shape, rows, threads); });
  return result;
}

py::tuple conserve(const py::array& frames, const py::object& target, bool mean, const Out& out, int threads,
                   const std::string& device) {
  const FrameOperations& on = operations(device, threads);
  const Shape shape = float_shape_of(frames, "frames");
  const double unit = mean ? static_cast<double>(shape.pixels()) : 1.0;
  std::vector<double> sums = per_frame(target, shape.frames, "target");
  for (double& sum : sums) sum *= unit;
  py::array result = output(out, py::dtype::of<float>(), {shape.frames, shape.rows, shape.columns});
  py::array_t<double> before(shape.frames), after(shape.frames);
  const float* in = floats(frames);
  float* pixels = floats(result);
  const Totals totals{before.mutable_data(), after.mutable_data()};
  if (in != pixels) check_apart(frames, result);
  unlocked([&] { on.conserve(in, shape, sums.data(), pixels, totals, threads); });
  for (std::int64_t i = 0; i < shape.frames; ++i) {
    totals.before[i] /= unit;
    totals.after[i] /= unit;
  }
  return py::make_tuple(result, before, after);
}

using Starts = py::array_t<std::int64_t, py::array::c_style>;
using Weights = py::array_t<float, py::array::c_style>;

// Refuses a grid that reaches outside of the frame: the loops do not look.
void check_starts(const Starts& starts, std::int64_t tile, std::int64_t length) {
  for (py::ssize_t i = 0; i < starts.size(); ++i)
    if (tile < 1 || starts.at(i) < 0 || starts.at(i) + tile > length)
      throw InputError("A tile of " + std::to_string(tile) + " pixels at " + std::to_string(starts.at(i)) +
                       " leaves the frame, which has " + std::to_string(length) + "; use the plan made for its size.");
}

py::array split(const py::array& frames, const Starts& rows, const Starts& columns, std::int64_t tile_rows,
                std::int64_t tile_columns, const Out& out, int threads, const std::string& device) {
  const FrameOperations& on = operations(device, threads);
  const Shape shape = float_shape_of(frames, "frames");
  check_starts(rows, tile_rows, shape.rows);
  check_starts(columns, tile_columns, shape.columns);
  const TileGrid grid{tile_rows,   tile_columns,   rows.size(), columns.size(),
                      rows.data(), columns.data(), nullptr,     nullptr};
  py::array result =
      output(out, py::dtype::of<float>(), {shape.frames * grid.down * grid.across, tile_rows, tile_columns});
  check_apart(frames, result);
  const float* in = floats(frames);
  float* tiles = floats(result);
  unlocked([&] { on.split(in, shape, grid, tiles, threads); });
  return result;
}

py::array blend(const py::array& tiles, const Starts& rows, const Starts& columns, const Weights& row_weights,
                const Weights& column_weights, std::int64_t frame_rows, std::int64_t frame_columns, const Out& out,
                int threads, const std::string& device) {
  const FrameOperations& on = operations(device, threads);
  const Shape tile = float_shape_of(tiles, "tiles");
  const std::int64_t per_frame = rows.size() * columns.size();
  if (per_frame == 0 || tile.frames % per_frame != 0 || row_weights.size() != rows.size() * tile.rows ||
      column_weights.size() != columns.size() * tile.columns)
    throw InputError("tiles is " + describe(tiles) + "; give all tiles of every frame, in the size of the plan.");
  check_starts(rows, tile.rows, frame_rows);
  check_starts(columns, tile.columns, frame_columns);
  const Shape shape{tile.frames / per_frame, frame_rows, frame_columns};
  const TileGrid grid{tile.rows,   tile.columns,   rows.size(),        columns.size(),
                      rows.data(), columns.data(), row_weights.data(), column_weights.data()};
  py::array result = output(out, py::dtype::of<float>(), {shape.frames, shape.rows, shape.columns});
  check_apart(tiles, result);
  const float* in = floats(tiles);
  float* pixels = floats(result);
  unlocked([&] { on.blend(in, grid, pixels, shape, threads); });
  return result;
}

void register_conversion(py::module_& m) {
  m.def("to_float", to_float);
  m.def("to_stored", to_stored);
}

void register_shape(py::module_& m) {
  m.def("pad_reflect", pad_reflect);
  m.def("crop", crop);
  m.def("split", split);
  m.def("blend", blend);
}

void register_intensity(py::module_& m) {
  PYBIND11_NUMPY_DTYPE(FrameStatistics, sum, minimum, maximum, nonzero, non_finite, non_integer, anscombe_mean,
                       anscombe_variance, difference_1, difference_2);
  m.def("robust_scale", robust_scale);
  m.def("normalise", normalise);
  m.def("statistics", statistics);
  m.def("conserve", conserve);
}

}  // namespace
}  // namespace photopeak

PYBIND11_MODULE(_native, m, pybind11::mod_gil_not_used()) {
  m.doc() = "Frame operations on the CPU and on CUDA devices.";
  photopeak::register_errors(m);
  photopeak::register_build(m);
  photopeak::register_conversion(m);
  photopeak::register_shape(m);
  photopeak::register_intensity(m);
}
