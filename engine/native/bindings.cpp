#include <pybind11/stl.h>

#include <array>
#include <cmath>

#include "admission.hpp"
#include "arrays.hpp"
#include "device_bindings.hpp"
#include "frame_layout.hpp"
#include "frame_loops.hpp"
#include "python_errors.hpp"
#include "texture.hpp"

namespace photopeak {
namespace {

using Out = std::optional<py::array>;

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

py::array staged(const FrameOperations& on, const py::array& pixels, Stored type, Shape shape, const Layout& layout,
                 const Staging& staging, const Out& out, int threads) {
  py::array result =
      output(out, py::dtype::of<float>(), {shape.frames * staging.tiles.count, layout.rows.tile, layout.columns.tile});
  check_apart(pixels, result);
  const void* in = pixels.data();
  float* tiles = floats(result);
  unlocked([&] { on.stage(in, type, shape, layout, staging, tiles, threads); });
  return result;
}

py::array stage(const py::array& pixels, const Layout& layout, const py::object& slope, const py::object& intercept,
                const py::object& low, const py::object& high, std::optional<std::int64_t> tile, const Out& out,
                int threads, const std::string& device) {
  const FrameOperations& on = operations(device, threads);
  const Stored type = pixel_type_of(pixels, "pixels");
  const Shape shape = shape_of(pixels, "pixels");
  if (shape.rows != layout.rows.length || shape.columns != layout.columns.length)
    throw InputError("pixels is " + describe(pixels) + "; give frames of the size that the tiles were planned for.");
  const Choice choice = tile ? Choice{*tile, 1} : Choice{0, layout.tiles()};
  if (choice.first < 0 || choice.first + choice.count > layout.tiles())
    throw UsageError("Tile " + std::to_string(choice.first) + " is none of the " + std::to_string(layout.tiles()) +
                     " of a frame.");
  const auto rescale = rescale_of(slope, intercept, shape.frames);
  const auto contrast = contrast_of(low, high, shape.frames);
  return staged(on, pixels, type, shape, layout, {rescale.data(), contrast.data(), choice}, out, threads);
}

// Staging where the one tile is the frame, and nothing is normalised.
py::array to_float(const py::array& stored, const py::object& slope, const py::object& intercept, const Out& out,
                   int threads, const std::string& device) {
  const FrameOperations& on = operations(device, threads);
  const Stored type = stored_type_of(stored.dtype());
  const Shape shape = shape_of(stored, "stored");
  const auto rescale = rescale_of(slope, intercept, shape.frames);
  static const Contrast unchanged{0.0f, 1.0f};
  const std::vector<Contrast> several(shape.frames > 1 ? rescale.size() : 0, unchanged);
  const Contrast* contrast = shape.frames > 1 ? several.data() : &unchanged;  // one frame needs no memory for it
  const Layout whole{{shape.rows, shape.rows, {0}, {}, {}}, {shape.columns, shape.columns, {0}, {}, {}}, 1};
  return staged(on, stored, type, shape, whole, {rescale.data(), contrast, {0, 1}}, out, threads);
}

py::tuple finish(const py::array& tiles, const Layout& layout, const py::object& target, const std::string& kept,
                 const py::object& gain, const Out& out, int threads, const std::string& device) {
  const FrameOperations& on = operations(device, threads);
  const Shape tile = float_shape_of(tiles, "tiles");
  const Keep keep = keep_of(kept);
  const std::int64_t scale = layout.scale;
  if (tile.frames % layout.tiles() != 0 || tile.rows != scale * layout.rows.tile ||
      tile.columns != scale * layout.columns.tile)
    throw InputError("tiles is " + describe(tiles) + "; give all tiles of every frame, in the size of the plan.");
  const Shape shape{tile.frames / layout.tiles(), scale * layout.rows.length, scale * layout.columns.length};
  const double unit = keep == Keep::mean ? static_cast<double>(shape.pixels()) : 1.0;
  const PerFrame target_of = per_frame(target, shape.frames, "target"), gain_of = per_frame(gain, shape.frames, "gain");
  std::vector<double> targets, gains;
  for (std::int64_t i = 0; i < shape.frames; ++i) {
    targets.push_back(target_of[i] * unit);
    gains.push_back(gain_of[i]);
  }
  py::array result = output(out, py::dtype::of<float>(), {shape.frames, shape.rows, shape.columns});
  check_apart(tiles, result);
  py::array_t<double> before(shape.frames), after(shape.frames);
  const Totals totals{before.mutable_data(), after.mutable_data()};
  const float* in = floats(tiles);
  float* pixels = floats(result);
  unlocked([&] { on.finish(in, layout, {keep, targets.data(), gains.data()}, shape, pixels, totals, threads); });
  for (std::int64_t i = 0; i < shape.frames; ++i) {
    totals.before[i] /= unit;
    totals.after[i] /= unit;
  }
  return py::make_tuple(result, before, after);
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

py::array_t<FrameStatistics> statistics(const py::array& frames, int threads, const std::string& device) {
  const FrameOperations& on = operations(device, threads);
  const Shape shape = float_shape_of(frames, "frames");
  py::array_t<FrameStatistics> result(shape.frames);
  const float* in = floats(frames);
  FrameStatistics* rows = result.mutable_data();
  unlocked([&] { on.statistics(in, shape, rows, threads); });
  return result;
}

py::tuple texture(const py::array& frames, int threads) {
  operations("cpu", threads);
  const Shape shape = float_shape_of(frames, "frames");
  py::array_t<Texture> result(shape.frames);
  const std::int64_t orders = 2;
  py::array_t<float> columns({shape.frames, orders, shape.columns}), rows({shape.frames, orders, shape.rows});
  const float* in = floats(frames);
  Texture* sums = result.mutable_data();
  const Profiles profiles{columns.mutable_data(), rows.mutable_data()};
  unlocked([&] { texture(in, shape, sums, profiles, threads); });
  return py::make_tuple(result, columns, rows);
}

py::tuple admit(const py::array& frames, int threads) {
  operations("cpu", threads);
  const Shape shape = float_shape_of(frames, "frames");
  py::array_t<double> sums(shape.frames);
  const float* in = floats(frames);
  double* of_frames = sums.mutable_data();
  Admission found;
  unlocked([&] { found = admit(in, shape, of_frames, threads); });
  return py::make_tuple(sums, found.least, found.misfit);
}

using Starts = std::vector<std::int64_t>;
using Weights = std::vector<float>;

Layout layout_of(std::array<std::int64_t, 2> matrix, std::array<std::int64_t, 2> tile, std::array<Starts, 2> starts,
                 std::array<Weights, 2> weights, std::int64_t scale) {
  const auto axis = [&](int i) { return axis_of(matrix[i], tile[i], starts[i], weights[i], scale); };
  return {axis(0), axis(1), scale};
}

void register_operations(py::module_& m) {
  PYBIND11_NUMPY_DTYPE(FrameStatistics, sum, minimum, maximum, nonzero, non_finite, non_integer, anscombe_mean,
                       anscombe_variance, difference_1, difference_2);
  PYBIND11_NUMPY_DTYPE(Texture, detail, diagonal, blocks, dispersion);
  py::class_<Layout>(m, "Layout").def(py::init(&layout_of));
  m.def("stage", stage);
  m.def("to_float", to_float);
  m.def("finish", finish);
  m.def("to_stored", to_stored);
  m.def("robust_scale", robust_scale);
  m.def("statistics", statistics);
  m.def("admit", static_cast<py::tuple (*)(const py::array&, int)>(admit));
  m.def("texture", static_cast<py::tuple (*)(const py::array&, int)>(texture));
}

}  // namespace
}  // namespace photopeak

PYBIND11_MODULE(_native, m, pybind11::mod_gil_not_used()) {
  m.doc() = "Frame operations on the CPU and on CUDA devices.";
  photopeak::register_errors();
  photopeak::register_build(m);
  photopeak::register_operations(m);
  photopeak::register_device_pipeline(m);
}
