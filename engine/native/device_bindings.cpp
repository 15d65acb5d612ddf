#include "device_bindings.hpp"

#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <vector>

#include "arrays.hpp"
#include "device_pipeline.hpp"

namespace photopeak {
namespace {

// A pipeline that checks what Python gives it, and runs without the interpreter's lock.
class BoundPipeline {
 public:
  BoundPipeline(const DeviceQueue& queue, const Layout& layout, std::int64_t frames, const std::string& keep)
      : plan_{layout, frames, keep_of(keep)} {
    if (frames < 1)
      throw UsageError("A pipeline for " + std::to_string(frames) + " frames makes no sense; give 1 or more.");
    const py::gil_scoped_release release;
    pipeline_ = queue.pipeline(plan_);
  }

  std::uintptr_t input() const { return reinterpret_cast<std::uintptr_t>(pipeline_->input()); }
  std::uintptr_t output() const { return reinterpret_cast<std::uintptr_t>(pipeline_->output()); }

  bool fill(const py::array& pixels, const py::object& slope, const py::object& intercept, const py::object& low,
            const py::object& high, const py::object& target, const py::object& gain, int threads) {
    operations("cpu", threads);
    const Stored type = pixel_type_of(pixels, "pixels");
    const Shape shape = shape_of(pixels, "pixels"), wanted = plan_.source();
    if (type != Stored::f32 && type != Stored::u16)
      throw InputError("pixels is " + describe(pixels) + "; give float32 or uint16.");
    if (shape.frames != wanted.frames || shape.rows != wanted.rows || shape.columns != wanted.columns)
      throw InputError("pixels is " + describe(pixels) + "; the pipeline was made for (" +
                       std::to_string(wanted.frames) + ", " + std::to_string(wanted.rows) + ", " +
                       std::to_string(wanted.columns) + ").");
    const auto rescale = rescale_of(slope, intercept, shape.frames);
    const auto contrast = contrast_of(low, high, shape.frames);
    const auto targets = each_of(target, "target", unit()), gains = each_of(gain, "gain", 1.0);
    const Batch batch{pixels.data(), type, rescale.data(), contrast.data(), targets.data(), gains.data()};
    const py::gil_scoped_release release;
    return pipeline_->fill(batch, threads);
  }

  void stage(std::int64_t tile) {
    need_tile(tile);
    pipeline_->stage(tile);
  }

  void collect(std::int64_t tile) {
    need_tile(tile);
    pipeline_->collect(tile);
  }

  void upload() { pipeline_->upload(); }
  void download() { pipeline_->download(); }

  void finish() {
    const py::gil_scoped_release release;
    pipeline_->finish();
  }

  void wait() {
    const py::gil_scoped_release release;
    pipeline_->wait();
  }

  py::tuple take(const std::optional<py::array>& out, int threads) const {
    operations("cpu", threads);
    const Shape shape = plan_.result();
    py::array frames = photopeak::output(out, py::dtype::of<float>(), {shape.frames, shape.rows, shape.columns});
    py::array_t<double> before(shape.frames), after(shape.frames);
    float* const to = static_cast<float*>(frames.mutable_data());
    const Totals totals{before.mutable_data(), after.mutable_data()};
    {
      const py::gil_scoped_release release;
      pipeline_->take(to, totals, threads);
    }
    for (std::int64_t i = 0; i < shape.frames; ++i) {
      totals.before[i] /= unit();
      totals.after[i] /= unit();
    }
    return py::make_tuple(frames, before, after);
  }

 private:
  // A mean is kept as a sum.
  double unit() const { return plan_.keep == Keep::mean ? static_cast<double>(plan_.result().pixels()) : 1.0; }

  std::vector<double> each_of(const py::object& value, const char* name, double unit) const {
    const PerFrame given = per_frame(value, plan_.frames, name);
    std::vector<double> each(static_cast<std::size_t>(plan_.frames));
    for (std::size_t i = 0; i < each.size(); ++i) each[i] = given[i] * unit;
    return each;
  }

  void need_tile(std::int64_t tile) const {
    if (tile < 0 || tile >= plan_.layout.tiles())
      throw UsageError("Tile " + std::to_string(tile) + " is none of the " + std::to_string(plan_.layout.tiles()) +
                       " of a frame.");
  }

  BatchPlan plan_;
  std::unique_ptr<DevicePipeline> pipeline_;
};

std::shared_ptr<DeviceQueue> queue_on(const std::string& device, int index) {
  if (device == "cpu") return cpu_queue();
  operations(device, 1);  // says why there is none
#ifdef PHOTOPEAK_WITH_CUDA
  const py::gil_scoped_release release;
  return cuda_queue(index);
#else
  throw UsageError("GPU " + std::to_string(index) + " cannot be used by this build.");
#endif
}

// The addresses are those of pipelines of this queue.
void copy(const DeviceQueue& queue, std::uintptr_t from, std::uintptr_t to, std::int64_t bytes) {
  if (bytes < 1) throw UsageError("Nothing to copy; give at least one byte.");
  queue.copy(reinterpret_cast<const void*>(from), reinterpret_cast<void*>(to), bytes);
}

void wait(const DeviceQueue& queue) {
  const py::gil_scoped_release release;
  queue.wait();
}

}  // namespace

void register_device_pipeline(py::module_& m) {
  py::class_<DeviceQueue, std::shared_ptr<DeviceQueue>>(m, "DeviceQueue")
      .def(py::init(&queue_on))
      .def_property_readonly("handle", &DeviceQueue::handle)
      .def("copy", &copy)
      .def("wait", &wait);
  py::class_<BoundPipeline>(m, "DevicePipeline")
      .def(py::init<const DeviceQueue&, const Layout&, std::int64_t, const std::string&>())
      .def_property_readonly("input", &BoundPipeline::input)
      .def_property_readonly("output", &BoundPipeline::output)
      .def("fill", &BoundPipeline::fill)
      .def("upload", &BoundPipeline::upload)
      .def("stage", &BoundPipeline::stage)
      .def("collect", &BoundPipeline::collect)
      .def("finish", &BoundPipeline::finish)
      .def("download", &BoundPipeline::download)
      .def("wait", &BoundPipeline::wait)
      .def("take", &BoundPipeline::take);
  m.def("cuda_error_name", [](int code) -> std::string {
#ifdef PHOTOPEAK_WITH_CUDA
    return cuda_error_name(code);
#else
    return "CUDA error " + std::to_string(code);
#endif
  });
}

}  // namespace photopeak
