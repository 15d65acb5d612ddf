// Memory and launches of one call, on a stream of the calling thread's own. Only for CUDA files.
//
// Memory comes from a pool that keeps what goes back to it, and goes back in the order of the stream: neither waits for
// the device.
#pragma once

#include <cstdint>

#include "gpu_memory.hpp"

namespace photopeak {
namespace gpu {

constexpr int kThreads = 256;

inline cudaStream_t own_stream() {
  thread_local const Stream stream;
  return stream.get();
}

// The pool of the current device; it lives as long as the process.
inline cudaMemPool_t own_pool() {
  static const cudaMemPool_t pool = [] {
    cudaMemPoolProps properties{};
    properties.allocType = cudaMemAllocationTypePinned;
    properties.location.type = cudaMemLocationTypeDevice;
    expect(cudaGetDevice(&properties.location.id), "asking for the current GPU");
    cudaMemPool_t made = nullptr;
    expect(cudaMemPoolCreate(&made, &properties), "making a pool of device memory");
    std::uint64_t kept = std::uint64_t{256} << 20;  // bytes that it does not give back to the device
    expect(cudaMemPoolSetAttribute(made, cudaMemPoolAttrReleaseThreshold, &kept), "making a pool of device memory");
    return made;
  }();
  return pool;
}

template <class T>
class Buffer {
 public:
  explicit Buffer(std::int64_t n) : bytes_(static_cast<std::size_t>(n) * sizeof(T)) {
    if (bytes_ > 0) expect(cudaMallocFromPoolAsync(&values_, bytes_, own_pool(), own_stream()), "taking device memory");
  }
  Buffer(const T* host, std::int64_t n) : Buffer(n) {
    if (bytes_ > 0) expect(cudaMemcpyAsync(values_, host, bytes_, cudaMemcpyHostToDevice, own_stream()), "uploading");
  }
  ~Buffer() {
    if (values_) cudaFreeAsync(values_, own_stream());
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  T* get() const { return static_cast<T*>(values_); }
  void clear() const { expect(cudaMemsetAsync(values_, 0, bytes_, own_stream()), "clearing device memory"); }

  // Waits for all that the calling thread launched.
  void download(T* host) const {
    expect(cudaMemcpyAsync(host, values_, bytes_, cudaMemcpyDeviceToHost, own_stream()), "downloading");
    expect(cudaStreamSynchronize(own_stream()), "running frame operations");
  }

 private:
  void* values_ = nullptr;
  std::size_t bytes_;
};

template <class Body>
__global__ void call(std::int64_t n, Body body) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += step) body(i);
}

template <class Body>
void for_each(std::int64_t n, const Body& body) {
  if (n == 0) return;
  const std::int64_t blocks = (n + kThreads - 1) / kThreads;
  launch(call<Body>, static_cast<unsigned>(blocks < 65536 ? blocks : 65536), kThreads, own_stream(), n, body);
}

inline void need_device() {
  int devices = 0;
  expect(cudaGetDeviceCount(&devices), "looking for a GPU", "use the CPU or repair the driver");
}

}  // namespace gpu
}  // namespace photopeak
