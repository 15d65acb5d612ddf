// The CUDA twin of device_pipeline_cpu.cpp: the same stages on a stream, none of which waits.
#include <utility>
#include <vector>

#include "device_staging.hpp"
#include "frame_kernels_gpu.hpp"

namespace photopeak {
namespace gpu {
namespace {

// Hands out pieces of one allocation; with no memory it only counts.
class Pieces {
 public:
  explicit Pieces(char* memory) : memory_(memory) {}

  template <class T>
  T* take(std::int64_t n) {
    T* const piece = memory_ ? reinterpret_cast<T*>(memory_ + bytes_) : nullptr;
    bytes_ += aligned(n * std::int64_t{sizeof(T)});
    return piece;
  }

  std::int64_t bytes() const { return bytes_; }

 private:
  char* memory_;
  std::int64_t bytes_ = 0;
};

// Everything that a pipeline has on the device. Sums and frames come back in one piece, and lie so.
struct OnGpu {
  char* staged;
  float *input, *output, *tiles;
  char* back;
  FinishMemory finishing;
  std::int64_t *row_starts, *column_starts;
  float *row_weights, *column_weights;

  OnGpu(const BatchPlan& plan, Pieces& pieces) {
    const Axis &rows = plan.layout.rows, &columns = plan.layout.columns;
    const std::int64_t tiles_of_frame = plan.layout.tiles();
    staged = pieces.take<char>(staged_bytes(plan.source(), Stored::f32));
    input = pieces.take<float>(plan.input_pixels());
    output = pieces.take<float>(plan.output_pixels());
    tiles = tiles_of_frame > 1 ? pieces.take<float>(tiles_of_frame * plan.output_pixels()) : output;
    back = pieces.take<char>(back_bytes(plan));
    finishing.sums = reinterpret_cast<FrameSums*>(back);
    finishing.bands = pieces.take<Sums>(plan.frames * Bands(plan.result().rows, plan.result().columns).count);
    finishing.factors = pieces.take<float>(plan.frames);
    row_starts = pieces.take<std::int64_t>(static_cast<std::int64_t>(rows.start.size()));
    column_starts = pieces.take<std::int64_t>(static_cast<std::int64_t>(columns.start.size()));
    row_weights = pieces.take<float>(static_cast<std::int64_t>(rows.weight.size()));
    column_weights = pieces.take<float>(static_cast<std::int64_t>(columns.weight.size()));
  }

  static std::int64_t frames_at(const BatchPlan& plan) {
    return aligned(plan.frames * std::int64_t{sizeof(FrameSums)});
  }
  static std::int64_t back_bytes(const BatchPlan& plan) {
    return frames_at(plan) + plan.result().size() * std::int64_t{sizeof(float)};
  }
};

std::int64_t device_bytes(const BatchPlan& plan) {
  Pieces counted(nullptr);
  const OnGpu nowhere(plan, counted);
  return counted.bytes();
}

OnGpu laid_out(const BatchPlan& plan, char* memory) {
  Pieces pieces(memory);
  return OnGpu(plan, pieces);
}

// A device and the stream of a queue, which its pipelines keep alive.
struct Lane {
  int index;
  std::unique_ptr<Stream> stream;

  static std::shared_ptr<const Lane> on(int index) {
    const OnDevice device(index);
    return std::make_shared<const Lane>(Lane{index, std::make_unique<Stream>()});
  }
};

class CudaPipeline final : public DevicePipeline {
 public:
  CudaPipeline(const BatchPlan& plan, std::shared_ptr<const Lane> lane)
      : plan_(plan),
        lane_(std::move(lane)),
        device_(device_bytes(plan)),
        there_(staged_bytes(plan.source(), Stored::f32)),
        back_(OnGpu::back_bytes(plan)),
        gpu_(laid_out(plan, device_.get())) {
    const Axis &rows = plan_.layout.rows, &columns = plan_.layout.columns;
    send(rows.start, gpu_.row_starts);
    send(columns.start, gpu_.column_starts);
    send(rows.weight, gpu_.row_weights);
    send(columns.weight, gpu_.column_weights);
    wait();
  }

  // The memory goes back once nothing on the stream uses it any more; an error has been told before.
  ~CudaPipeline() override { cudaStreamSynchronize(stream()); }

  float* input() const override { return gpu_.input; }
  float* output() const override { return gpu_.output; }

  bool fill(const Batch& batch, int threads) override {
    type_ = pack(batch, plan_.source(), {there_.get(), Staged(plan_.frames)}, threads);
    return type_ == Stored::u16;
  }

  void upload() override {
    const OnDevice device(lane_->index);
    const auto bytes = static_cast<std::size_t>(staged_bytes(plan_.source(), type_));
    expect(cudaMemcpyAsync(gpu_.staged, there_.get(), bytes, cudaMemcpyHostToDevice, stream()), "uploading frames");
  }

  void stage(std::int64_t tile) override {
    const OnDevice device(lane_->index);
    const StagedBlock block = on_device();
    const Staging staging{block.rescale(), block.contrast(), {tile, 1}};
    with_type(type_, [&](auto zero) {
      launch_stage(static_cast<const decltype(zero)*>(block.pixels()), plan_.frames, layout(), staging, gpu_.input,
                   stream());
    });
  }

  void collect(std::int64_t tile) override {
    if (gpu_.tiles == gpu_.output) return;
    const OnDevice device(lane_->index);
    const std::int64_t pixels = plan_.output_pixels() / plan_.frames;
    const std::size_t bytes = static_cast<std::size_t>(pixels) * sizeof(float);
    expect(cudaMemcpy2DAsync(gpu_.tiles + tile * pixels, static_cast<std::size_t>(plan_.layout.tiles()) * bytes,
                             gpu_.output, bytes, bytes, static_cast<std::size_t>(plan_.frames),
                             cudaMemcpyDeviceToDevice, stream()),
           "collecting tiles");
  }

  void finish() override {
    const OnDevice device(lane_->index);
    const StagedBlock block = on_device();
    const Finishing finishing{plan_.keep, block.target(), block.gain()};
    const TilesView view{gpu_.tiles, layout()};
    const auto launch = plan_.layout.tiles() == 1 ? launch_finish<true> : launch_finish<false>;
    launch(view, plan_.result(), finishing, frames_in(gpu_.back), gpu_.finishing, stream());
  }

  void download() override {
    const OnDevice device(lane_->index);
    const auto bytes = static_cast<std::size_t>(OnGpu::back_bytes(plan_));
    expect(cudaMemcpyAsync(back_.get(), gpu_.back, bytes, cudaMemcpyDeviceToHost, stream()), "downloading frames");
  }

  void wait() override { lane_->stream->wait(); }

  void take(float* out, Totals totals, int threads) const override {
    const auto* sums = reinterpret_cast<const FrameSums*>(back_.get());
    const StagedBlock block{there_.get(), Staged(plan_.frames)};
    const Finishing finishing{plan_.keep, block.target(), block.gain()};
    for (std::int64_t i = 0; i < plan_.frames; ++i) {
      factor_of(sums[i].before, finishing, i);  // throws where there is none
      totals.before[i] = sums[i].before.all * finishing.gain[i];
      totals.after[i] = sums[i].after.all;
    }
    copy(frames_in(back_.get()), plan_.result().size(), out, threads);
  }

 private:
  cudaStream_t stream() const { return lane_->stream->get(); }
  StagedBlock on_device() const { return {gpu_.staged, Staged(plan_.frames)}; }
  float* frames_in(char* back) const { return reinterpret_cast<float*>(back + OnGpu::frames_at(plan_)); }

  LayoutView layout() const {
    return {view_of(plan_.layout.rows, gpu_.row_starts, gpu_.row_weights),
            view_of(plan_.layout.columns, gpu_.column_starts, gpu_.column_weights),
            static_cast<int>(plan_.layout.scale)};
  }

  template <class T>
  void send(const std::vector<T>& values, T* to) {
    expect(cudaMemcpyAsync(to, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice, stream()),
           "uploading the layout of tiles");
  }

  BatchPlan plan_;
  std::shared_ptr<const Lane> lane_;
  DeviceMemory device_;
  PinnedMemory there_, back_;
  OnGpu gpu_;
  Stored type_ = Stored::f32;
};

class CudaQueue final : public DeviceQueue {
 public:
  explicit CudaQueue(int index) : lane_(Lane::on(index)) {}

  std::uintptr_t handle() const override { return reinterpret_cast<std::uintptr_t>(lane_->stream->get()); }

  std::unique_ptr<DevicePipeline> pipeline(const BatchPlan& plan) const override {
    const OnDevice device(lane_->index);
    return std::make_unique<CudaPipeline>(plan, lane_);
  }

  void copy(const void* from, void* to, std::int64_t bytes) const override {
    const OnDevice device(lane_->index);
    expect(cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes), cudaMemcpyDeviceToDevice, lane_->stream->get()),
           "copying device memory");
  }

  void wait() const override { lane_->stream->wait(); }

 private:
  std::shared_ptr<const Lane> lane_;
};

}  // namespace
}  // namespace gpu

std::shared_ptr<DeviceQueue> cuda_queue(int index) { return std::make_shared<gpu::CudaQueue>(index); }

const char* cuda_error_name(int code) { return cudaGetErrorName(static_cast<cudaError_t>(code)); }

}  // namespace photopeak
