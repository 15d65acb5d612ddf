// The CPU twin of device_pipeline_gpu.cu: the same stages in host memory, each done when it returns.
#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "device_staging.hpp"
#include "frame_results.hpp"

namespace photopeak {
namespace {

// Memory that starts where vectors may.
class HostMemory {
 public:
  explicit HostMemory(std::int64_t bytes) : bytes_(static_cast<std::size_t>(bytes + kAlignment)) {}

  char* get() const {
    void* start = const_cast<char*>(bytes_.data());
    std::size_t room = bytes_.size();
    return static_cast<char*>(std::align(kAlignment, 1, start, room));
  }

 private:
  std::vector<char> bytes_;
};

class CpuPipeline final : public DevicePipeline {
 public:
  explicit CpuPipeline(const BatchPlan& plan)
      : plan_(plan),
        staging_(staged_bytes(plan.source(), Stored::f32)),
        device_(staged_bytes(plan.source(), Stored::f32)),
        input_(static_cast<std::size_t>(plan.input_pixels())),
        output_(static_cast<std::size_t>(plan.output_pixels())),
        tiles_(plan.layout.tiles() > 1 ? static_cast<std::size_t>(plan.layout.tiles() * plan.output_pixels()) : 0),
        frames_(static_cast<std::size_t>(plan.result().size())),
        back_(frames_.size()),
        before_(static_cast<std::size_t>(plan.frames)),
        after_(before_.size()) {}

  float* input() const override { return const_cast<float*>(input_.data()); }
  float* output() const override { return const_cast<float*>(output_.data()); }

  bool fill(const Batch& batch, int threads) override {
    type_ = pack(batch, plan_.source(), on_host(), threads);
    return type_ == Stored::u16;
  }

  void upload() override {
    std::memcpy(device_.get(), staging_.get(), static_cast<std::size_t>(staged_bytes(plan_.source(), type_)));
  }

  void stage(std::int64_t tile) override {
    const StagedBlock block = on_device();
    const Staging staging{block.rescale(), block.contrast(), {tile, 1}};
    cpu_operations().stage(block.pixels(), type_, plan_.source(), plan_.layout, staging, input_.data(), 1);
  }

  void collect(std::int64_t tile) override {
    if (tiles_.empty()) return;
    const std::int64_t pixels = plan_.output_pixels() / plan_.frames, tiles = plan_.layout.tiles();
    for (std::int64_t frame = 0; frame < plan_.frames; ++frame)
      std::copy_n(&output_[frame * pixels], pixels, &tiles_[(frame * tiles + tile) * pixels]);
  }

  void finish() override {
    const StagedBlock block = on_device();
    const float* tiles = tiles_.empty() ? output_.data() : tiles_.data();
    cpu_operations().finish(tiles, plan_.layout, {plan_.keep, block.target(), block.gain()}, plan_.result(),
                            frames_.data(), {before_.data(), after_.data()}, 1);
  }

  void download() override { std::copy(frames_.begin(), frames_.end(), back_.begin()); }

  void wait() override {}

  void take(float* out, Totals totals, int threads) const override {
    copy(back_.data(), plan_.result().size(), out, threads);
    std::copy(before_.begin(), before_.end(), totals.before);
    std::copy(after_.begin(), after_.end(), totals.after);
  }

 private:
  StagedBlock on_host() const { return {staging_.get(), Staged(plan_.frames)}; }
  StagedBlock on_device() const { return {device_.get(), Staged(plan_.frames)}; }

  BatchPlan plan_;
  Stored type_ = Stored::f32;
  HostMemory staging_, device_;
  std::vector<float> input_, output_, tiles_, frames_, back_;
  std::vector<double> before_, after_;
};

class CpuQueue final : public DeviceQueue {
 public:
  std::uintptr_t handle() const override { return 0; }

  std::unique_ptr<DevicePipeline> pipeline(const BatchPlan& plan) const override {
    return std::make_unique<CpuPipeline>(plan);
  }

  void copy(const void* from, void* to, std::int64_t bytes) const override {
    std::memcpy(to, from, static_cast<std::size_t>(bytes));
  }

  void wait() const override {}
};

}  // namespace

std::shared_ptr<DeviceQueue> cpu_queue() { return std::make_shared<CpuQueue>(); }

}  // namespace photopeak
