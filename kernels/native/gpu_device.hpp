// A GPU as a device of portable code: memory, and a thread for each element. Only for CUDA files.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <string>

#include "errors.hpp"

namespace photopeak {
namespace {

constexpr int kThreads = 256;

inline void check(cudaError_t status) {
  if (status == cudaSuccess) return;
  throw DeviceError(std::string("CUDA reports: ") + cudaGetErrorString(status) + "; use the CPU or repair the driver.");
}

template <class Body>
__global__ void call(std::int64_t n, Body body) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += step) body(i);
}

struct Gpu {
  template <class T>
  class Buffer {
   public:
    explicit Buffer(std::int64_t n) : bytes_(static_cast<std::size_t>(n) * sizeof(T)) {
      if (bytes_ > 0) check(cudaMalloc(&values_, bytes_));
    }
    Buffer(const T* host, std::int64_t n) : Buffer(n) {
      if (bytes_ > 0) check(cudaMemcpy(values_, host, bytes_, cudaMemcpyHostToDevice));
    }
    Buffer(Buffer&& other) noexcept : values_(other.values_), bytes_(other.bytes_) { other.values_ = nullptr; }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { cudaFree(values_); }

    T* get() const { return values_; }
    void clear() { check(cudaMemset(values_, 0, bytes_)); }
    void download(T* host) const { check(cudaMemcpy(host, values_, bytes_, cudaMemcpyDeviceToHost)); }

   private:
    T* values_ = nullptr;
    std::size_t bytes_;
  };

  template <class Body>
  static void for_each(std::int64_t n, const Body& body) {
    if (n == 0) return;
    const std::int64_t blocks = (n + kThreads - 1) / kThreads;
    call<<<static_cast<unsigned>(blocks < 65536 ? blocks : 65536), kThreads>>>(n, body);
    check(cudaGetLastError());
  }
};

inline void need_device() {
  int devices = 0;
  check(cudaGetDeviceCount(&devices));
}

}  // namespace
}  // namespace photopeak
