// Enough of CUDA's runtime to run kernels without a GPU: each thread of a block is a fiber, blocks come one after the
// other, and barriers and shuffles wait as they do on a GPU. Memory of the device ends at a page that may not be
// touched. For tests alone, and for a compiler that knows no CUDA.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>

#define __global__
#define __device__
#define __host__
#define __shared__ static  // of the one block that runs
#define __launch_bounds__(...)

using std::isfinite;

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

// What belongs to one of two devices; used with the other one, it ends the program.
struct OfDevice {
  int index;
};
using cudaStream_t = OfDevice*;
using cudaMemPool_t = OfDevice*;
enum cudaError_t { cudaSuccess = 0, cudaErrorMemoryAllocation = 2 };
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };
enum cudaStreamCaptureMode { cudaStreamCaptureModeRelaxed };
enum { cudaStreamNonBlocking, cudaHostAllocDefault, cudaMemPoolAttrReleaseThreshold };
enum { cudaMemAllocationTypePinned, cudaMemLocationTypeDevice };

struct cudaMemPoolProps {
  int allocType;
  struct {
    int type, id;
  } location;
};

// The thread that runs; each fiber finds its own.
struct RunningThread {
  dim3 thread, block, threads, blocks;
};
extern RunningThread running;
#define threadIdx running.thread
#define blockIdx running.block
#define blockDim running.threads
#define gridDim running.blocks

// Calls the kernel for each thread of each block.
void run_blocks(dim3 blocks, dim3 threads, cudaStream_t stream, const std::function<void()>& kernel);

void __syncthreads();
double __shfl_down_sync(unsigned mask, double value, int distance);

template <class T>
T atomicAdd(T* place, T value) {
  const T before = *place;
  *place += value;
  return before;
}

template <class T>
T atomicMin(T* place, T value) {
  const T before = *place;
  *place = std::min(before, value);
  return before;
}

cudaError_t cudaMalloc(void** memory, std::size_t bytes);
cudaError_t cudaFree(void* memory);

inline const char* cudaGetErrorName(cudaError_t) { return "an error"; }
inline const char* cudaGetErrorString(cudaError_t) { return "emulated"; }
inline cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode*) { return cudaSuccess; }
extern thread_local int current_device;
inline cudaError_t cudaGetDevice(int* index) { return *index = current_device, cudaSuccess; }
inline cudaError_t cudaSetDevice(int index) { return current_device = index, cudaSuccess; }
inline cudaError_t cudaGetDeviceCount(int* count) { return *count = 2, cudaSuccess; }
inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  return *stream = new OfDevice{current_device}, cudaSuccess;
}
inline cudaError_t cudaStreamDestroy(cudaStream_t stream) { return delete stream, cudaSuccess; }
inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaHostAlloc(void** memory, std::size_t bytes, unsigned) { return cudaMalloc(memory, bytes); }
inline cudaError_t cudaFreeHost(void* memory) { return cudaFree(memory); }
inline cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool, const cudaMemPoolProps* properties) {
  return *pool = new OfDevice{properties->location.id}, cudaSuccess;
}
inline cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, int, void*) { return cudaSuccess; }
cudaError_t cudaMallocFromPoolAsync(void** memory, std::size_t bytes, cudaMemPool_t pool, cudaStream_t stream);
inline cudaError_t cudaFreeAsync(void* memory, cudaStream_t) { return cudaFree(memory); }
inline cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t) {
  return std::memset(to, value, bytes), cudaSuccess;
}
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind, cudaStream_t) {
  return std::memcpy(to, from, bytes), cudaSuccess;
}
inline cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                                     std::size_t width, std::size_t height, cudaMemcpyKind, cudaStream_t) {
  for (std::size_t row = 0; row < height; ++row)
    std::memcpy(static_cast<char*>(to) + row * to_pitch, static_cast<const char*>(from) + row * from_pitch, width);
  return cudaSuccess;
}
