// Streams and memory of a GPU that are given back when they go out of scope. Only for CUDA files.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <string>

#include "errors.hpp"

namespace photopeak {
namespace gpu {

inline void expect(cudaError_t status, const char* doing,
                   const char* remedy = "use the CPU, a smaller batch or another GPU") {
  if (status == cudaSuccess) return;
  throw DeviceError(std::string("CUDA reports ") + cudaGetErrorName(status) + " (" + cudaGetErrorString(status) +
                    ") when " + doing + "; " + remedy + ".");
}

// Starts a kernel, and is the only place that does: a compiler that knows no CUDA runs it in its own way.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 blocks, dim3 threads, cudaStream_t stream, Arguments... arguments) {
#ifdef __CUDACC__
  kernel<<<blocks, threads, 0, stream>>>(arguments...);
  expect(cudaGetLastError(), "starting a kernel");
#else
  run_blocks(blocks, threads, stream, [=] { kernel(arguments...); });
#endif
}

// Whatever this thread does meanwhile, such as taking memory or loading a kernel at its first launch, does not spoil
// the graph that another thread records.
class BesideRecording {
 public:
  BesideRecording() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  ~BesideRecording() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  BesideRecording(const BesideRecording&) = delete;
  BesideRecording& operator=(const BesideRecording&) = delete;

 private:
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
};

// Makes a device the one that the calling thread uses, beside whatever is recorded; the one before comes back.
class OnDevice {
 public:
  explicit OnDevice(int index) {
    expect(cudaGetDevice(&before_), "asking for the current GPU");
    expect(cudaSetDevice(index), "choosing a GPU");
  }
  ~OnDevice() { cudaSetDevice(before_); }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

 private:
  BesideRecording beside_;
  int before_ = 0;
};

// A stream that neither waits for the default stream nor makes it wait.
class Stream {
 public:
  Stream() { expect(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "making a stream"); }
  ~Stream() { cudaStreamDestroy(stream_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  cudaStream_t get() const { return stream_; }
  void wait() const { expect(cudaStreamSynchronize(stream_), "running frames"); }

 private:
  cudaStream_t stream_ = nullptr;
};

class DeviceMemory {
 public:
  explicit DeviceMemory(std::int64_t bytes) {
    if (bytes > 0) expect(cudaMalloc(&memory_, static_cast<std::size_t>(bytes)), "taking device memory");
  }
  ~DeviceMemory() {
    const BesideRecording beside;
    cudaFree(memory_);
  }
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  char* get() const { return static_cast<char*>(memory_); }

 private:
  void* memory_ = nullptr;
};

// Host memory that the device reads and writes while the processor goes on.
class PinnedMemory {
 public:
  explicit PinnedMemory(std::int64_t bytes) {
    expect(cudaHostAlloc(&memory_, static_cast<std::size_t>(bytes), cudaHostAllocDefault), "pinning host memory");
  }
  ~PinnedMemory() {
    const BesideRecording beside;
    cudaFreeHost(memory_);
  }
  PinnedMemory(const PinnedMemory&) = delete;
  PinnedMemory& operator=(const PinnedMemory&) = delete;

  char* get() const { return static_cast<char*>(memory_); }

 private:
  void* memory_ = nullptr;
};

}  // namespace gpu
}  // namespace photopeak
