// Memory and launches of one call, on a stream of the calling thread's own for its current device. Only for CUDA files.
//
// Memory comes from a pool that keeps what goes back to it, and goes back in the order of the stream: neither waits for
// the device.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "gpu_memory.hpp"

namespace photopeak {
namespace gpu {

constexpr int kThreads = 256;

// One thing for each device, made when it is first asked for there.
template <class Thing>
class PerDevice {
 public:
  // That of the device which the calling thread uses now: a stream or a pool of another one cannot be used on it.
  const Thing& here() {
    int index = 0;
    expect(cudaGetDevice(&index), "asking for the current GPU");
    std::unique_ptr<const Thing>& thing = things_[index];
    if (!thing) thing = std::make_unique<const Thing>();
    return *thing;
  }

 private:
  std::map<int, std::unique_ptr<const Thing>> things_;
};

// Memory of the current device that is not given back to it; it lives as long as the process.
struct Pool {
  cudaMemPool_t handle = nullptr;

  Pool() {
    cudaMemPoolProps properties{};
    properties.allocType = cudaMemAllocationTypePinned;
    properties.location.type = cudaMemLocationTypeDevice;
    expect(cudaGetDevice(&properties.location.id), "asking for the current GPU");
    expect(cudaMemPoolCreate(&handle, &properties), "making a pool of device memory");
    std::uint64_t kept = std::uint64_t{256} << 20;  // bytes that it does not give back to the device
    expect(cudaMemPoolSetAttribute(handle, cudaMemPoolAttrReleaseThreshold, &kept), "making a pool of device memory");
  }
};

inline cudaStream_t own_stream() {
  thread_local PerDevice<Stream> streams;
  return streams.here().get();
}

inline cudaMemPool_t own_pool() {
  static std::mutex mutex;
  static auto* const pools = new PerDevice<Pool>;  // never deleted: threads may outlive what is static
  const std::lock_guard<std::mutex> lock(mutex);
  return pools->here().handle;
}

template <class T>
class Buffer {
 public:
  explicit Buffer(std::int64_t n) : stream_(own_stream()), bytes_(static_cast<std::size_t>(n) * sizeof(T)) {
    if (bytes_ > 0) expect(cudaMallocFromPoolAsync(&values_, bytes_, own_pool(), stream_), "taking device memory");
  }
  Buffer(const T* host, std::int64_t n) : Buffer(n) {
    if (bytes_ > 0) expect(cudaMemcpyAsync(values_, host, bytes_, cudaMemcpyHostToDevice, stream_), "uploading");
  }
  ~Buffer() {
    if (values_) cudaFreeAsync(values_, stream_);
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  T* get() const { return static_cast<T*>(values_); }
  void clear() const { expect(cudaMemsetAsync(values_, 0, bytes_, stream_), "clearing device memory"); }

  // Waits for all that the calling thread launched.
  void download(T* host) const {
    expect(cudaMemcpyAsync(host, values_, bytes_, cudaMemcpyDeviceToHost, stream_), "downloading");
    expect(cudaStreamSynchronize(stream_), "running frame operations");
  }

 private:
  cudaStream_t stream_;
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
