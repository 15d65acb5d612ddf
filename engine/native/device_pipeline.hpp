// Frames on their way to a graph and back in memory of a device that is taken once, in the order of one queue.
//
// What is waiting on the host goes over with `upload`; `stage` writes one tile of each frame where the graph reads it,
// the graph runs on the same queue, `collect` keeps what it wrote; `finish` makes frames of the tiles, `download`
// brings them back. None of these waits for the device, `wait` does.
#pragma once

#include <cstdint>
#include <memory>

#include "frame_operations.hpp"

namespace photopeak {

// What a batch looks like: so many frames of the layout's size, and what each of them keeps.
struct BatchPlan {
  Layout layout;
  std::int64_t frames;
  Keep keep;

  Shape source() const { return {frames, layout.rows.length, layout.columns.length}; }
  Shape result() const { return {frames, layout.scale * layout.rows.length, layout.scale * layout.columns.length}; }
  std::int64_t input_pixels() const { return frames * layout.rows.tile * layout.columns.tile; }  // what the graph reads
  std::int64_t output_pixels() const { return layout.scale * layout.scale * input_pixels(); }
};

// Frames and what belongs to each of them; the arrays have as many elements as there are frames.
struct Batch {
  const void* pixels;
  Stored type;  // u16 or f32
  const Rescale* rescale;
  const Contrast* contrast;
  const double* target;
  const double* gain;
};

class DevicePipeline {
 public:
  virtual ~DevicePipeline() = default;

  // Where the graph finds a tile of each frame, (frames, 1, tile rows, tile columns), and where it writes.
  virtual float* input() const = 0;
  virtual float* output() const = 0;

  // Puts a batch where `upload` takes it from, as 16-bit integers when all of its pixels are such; returns whether they
  // are. The batch before it must have ended.
  virtual bool fill(const Batch& batch, int threads) = 0;

  virtual void upload() = 0;
  virtual void stage(std::int64_t tile) = 0;
  virtual void collect(std::int64_t tile) = 0;
  virtual void finish() = 0;
  virtual void download() = 0;
  virtual void wait() = 0;

  // Copies the frames that came back, after `wait`. Throws InputError as FrameOperations::finish does.
  virtual void take(float* out, Totals totals, int threads) const = 0;
};

// Where pipelines run, one after the other; several queues of a device run side by side.
class DeviceQueue {
 public:
  virtual ~DeviceQueue() = default;

  // What other libraries know the queue by: the CUDA stream; 0 for the CPU.
  virtual std::uintptr_t handle() const = 0;

  virtual std::unique_ptr<DevicePipeline> pipeline(const BatchPlan& plan) const = 0;

  // Copies inside of the device's memory; what comes after it in the queue finds the copy.
  virtual void copy(const void* from, void* to, std::int64_t bytes) const = 0;

  // Returns once everything in the queue has ended.
  virtual void wait() const = 0;
};

std::shared_ptr<DeviceQueue> cpu_queue();

// Throws DeviceError when there is no such device.
std::shared_ptr<DeviceQueue> cuda_queue(int index);

// The name of a CUDA error, such as cudaErrorMemoryAllocation; needs no device.
const char* cuda_error_name(int code);

}  // namespace photopeak
