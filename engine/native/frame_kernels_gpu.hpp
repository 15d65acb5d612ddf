// The kernels of staging and finishing, for memory of the device and a stream. Only for CUDA files.
//
// A block of threads takes rows that hold about kBandPixels pixels of one image; a thread takes four pixels of a row at
// a time, in one load and one store where memory is aligned for it. What happens to single pixels gives the bits of the
// CPU; sums are taken in another, fixed order.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>

#include "frame_results.hpp"
#include "gpu_memory.hpp"

namespace photopeak {
namespace gpu {

constexpr int kBlock = 256, kVector = 4, kBandPixels = 4096;

// One axis of a layout in device memory.
struct AxisView {
  int length, tile, count;  // a frame has less than 2^31 pixels
  const std::int64_t* start;
  const float* weight;
};

struct LayoutView {
  AxisView rows, columns;
  int scale;
};

// An axis whose starts and weights are on the device.
inline AxisView view_of(const Axis& axis, const std::int64_t* start, const float* weight) {
  return {static_cast<int>(axis.length), static_cast<int>(axis.tile), static_cast<int>(axis.start.size()), start,
          weight};
}

// Rows of equal images, cut into bands of so many rows; one block for each band.
struct Bands {
  int rows, columns, height, count;

  Bands(std::int64_t rows, std::int64_t columns)
      : rows(static_cast<int>(rows)),
        columns(static_cast<int>(columns)),
        height(std::max(1, kBandPixels / this->columns)),
        count((this->rows + height - 1) / height) {}

  // Threads across a row, in powers of two, and the rest of them down.
  dim3 threads() const {
    unsigned across = 8;
    while (across < kBlock && kVector * across < static_cast<unsigned>(columns)) across *= 2;
    return {across, kBlock / across, 1};
  }

  dim3 blocks(std::int64_t images) const { return {static_cast<unsigned>(images * count), 1, 1}; }

  __device__ int image() const { return static_cast<int>(blockIdx.x) / count; }

  // Calls body(row, column) for each vector of this block that is the calling thread's.
  template <class Body>
  __device__ void for_vectors(Body&& body) const {
    const int begin = static_cast<int>(blockIdx.x) % count * height;
    const int end = rows - begin < height ? rows : begin + height;
    const int down = static_cast<int>(blockDim.y), across = kVector * static_cast<int>(blockDim.x);
    for (int row = begin + static_cast<int>(threadIdx.y); row < end; row += down)
      for (int column = kVector * static_cast<int>(threadIdx.x); column < columns; column += across) body(row, column);
  }
};

template <class T>
struct alignas(kVector * sizeof(T)) Vector {
  T at[kVector];
};

// Whether n elements from here on are a whole vector that lies where vectors may.
template <class T>
__device__ bool is_vector(const T* first, int n) {
  return n >= kVector && reinterpret_cast<std::uintptr_t>(first) % sizeof(Vector<T>) == 0;
}

// The first n elements; what is beyond them is 0.
template <class T>
__device__ Vector<T> load(const T* first, int n) {
  if (is_vector(first, n)) return *reinterpret_cast<const Vector<T>*>(first);
  Vector<T> values{};
  for (int i = 0; i < kVector; ++i)
    if (i < n) values.at[i] = first[i];
  return values;
}

__device__ inline void store(const Vector<float>& values, float* first, int n) {
  if (is_vector(first, n)) {
    *reinterpret_cast<Vector<float>*>(first) = values;
    return;
  }
  for (int i = 0; i < kVector; ++i)
    if (i < n) first[i] = values.at[i];
}

// Writes the chosen tiles of each frame.
template <class T>
__global__ void __launch_bounds__(kBlock, 6)
    stage_tiles(const T* pixels, LayoutView layout, Choice tiles, const Rescale* rescale, const Contrast* contrast,
                Bands bands, float* out) {
  const AxisView &down = layout.rows, &across = layout.columns;
  const int image = bands.image(), each = static_cast<int>(tiles.count);
  const int frame = image / each, tile = static_cast<int>(tiles.first) + image % each;
  const int top = static_cast<int>(down.start[tile / across.count]);
  const int left = static_cast<int>(across.start[tile % across.count]);
  const Rescale r = rescale[frame];
  const Contrast c = contrast[frame];
  const T* const from = pixels + std::int64_t{frame} * down.length * across.length;
  float* const to = out + std::int64_t{image} * bands.rows * bands.columns;
  bands.for_vectors([&](int row, int column) {
    const int y = top + row, x = left + column, n = bands.columns - column;
    const T* const line = from + (y < down.length ? y : reflected(y, down.length)) * across.length;
    Vector<T> stored{};
    if (x + kVector <= across.length) {
      stored = load(line + x, kVector);
    } else {
      for (int i = 0; i < kVector; ++i) stored.at[i] = line[reflected(x + i, across.length)];
    }
    Vector<float> values;
    for (int i = 0; i < kVector; ++i) values.at[i] = staged(stored.at[i], r.slope, r.intercept, c.low, c.inverse_width);
    store(values, to + std::int64_t{row} * bands.columns + column, n);
  });
}

// The tiles of all frames as the graph gave them, frame by frame.
struct TilesView {
  const float* tiles;
  LayoutView layout;

  __device__ int height() const { return layout.scale * layout.rows.tile; }
  __device__ int width() const { return layout.scale * layout.columns.tile; }

  // A row of a tile, counted through all frames.
  __device__ const float* row(std::int64_t tile, int y) const { return tiles + (tile * height() + y) * width(); }

  // A pixel of an enlarged frame, in the order of the CPU.
  __device__ float blended(int frame, int row_of_frame, int column) const {
    const AxisView &down = layout.rows, &across = layout.columns;
    float sum = 0.0f;
    bool first = true;
    for (int d = 0; d < down.count; ++d) {
      const int y = row_of_frame - layout.scale * static_cast<int>(down.start[d]);
      if (y < 0 || y >= height()) continue;
      const float row_weight = down.weight[d * height() + y];
      if (row_weight == 0.0f) continue;
      for (int a = 0; a < across.count; ++a) {
        const int x = column - layout.scale * static_cast<int>(across.start[a]);
        if (x < 0 || x >= width()) continue;
        const float column_weight = across.weight[a * width() + x];
        if (column_weight == 0.0f) continue;
        const std::int64_t tile = (std::int64_t{frame} * down.count + d) * across.count + a;
        const float part = weighted(row_weight, column_weight, row(tile, y)[x]);
        sum = first ? part : sum + part;
        first = false;
      }
    }
    return sum;
  }
};

// The pixels of a frame from the one tile that has all of them, or from those that meet.
template <bool one_tile>
__device__ Vector<float> assembled(const TilesView& view, int frame, int row, int column, int n) {
  if constexpr (one_tile) {
    return load(view.row(frame, row) + column, n);
  } else {
    Vector<float> values{};
    for (int i = 0; i < kVector; ++i)
      if (i < n) values.at[i] = view.blended(frame, row, column + i);
    return values;
  }
}

// Adds the values of all threads of a block in a fixed order; thread 0 has the result.
__device__ inline Sums block_sums(Sums mine) {
  __shared__ Sums warps[kBlock / 32];
  const auto add_from = [&mine](int distance) {
    mine.all += __shfl_down_sync(0xffffffffu, mine.all, distance);
    mine.positive += __shfl_down_sync(0xffffffffu, mine.positive, distance);
  };
  const int thread = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x);
  for (int distance = 16; distance > 0; distance /= 2) add_from(distance);
  if (thread % 32 == 0) warps[thread / 32] = mine;
  __syncthreads();
  if (thread >= 32) return mine;
  mine = thread < kBlock / 32 ? warps[thread] : Sums{0, 0};
  for (int distance = kBlock / 64; distance > 0; distance /= 2) add_from(distance);
  return mine;
}

// Sums of each band of each frame; frames of several tiles are written on the way.
template <bool one_tile>
__global__ void sum_bands(TilesView view, Bands bands, float* frames, Sums* out) {
  const int frame = bands.image();
  Sums mine{0, 0};
  bands.for_vectors([&](int row, int column) {
    const int n = bands.columns - column;
    const Vector<float> values = assembled<one_tile>(view, frame, row, column, n);
    for (int i = 0; i < kVector; ++i) {  // beyond the row are zeros
      mine.all += values.at[i];
      mine.positive += not_negative(values.at[i]);
    }
    if constexpr (!one_tile)
      store(values, frames + (std::int64_t{frame} * bands.rows + row) * bands.columns + column, n);
  });
  const Sums all = block_sums(mine);
  if (threadIdx.x == 0 && threadIdx.y == 0) out[blockIdx.x] = all;
}

// Adds the bands of one frame with all threads of a block.
__device__ inline Sums frame_total(const Sums* bands, int count) {
  Sums mine{0, 0};
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kBlock) {
    mine.all += bands[i].all;
    mine.positive += bands[i].positive;
  }
  return block_sums(mine);
}

// What came in and what went out of a frame, and the factor between them.
struct FrameSums {
  Sums before, after;
};

// One block for each frame. A factor that is none is told by the host, who finds it anew from the sums.
static __global__ void find_factors(const Sums* bands, int count, Keep keep, const double* target, const double* gain,
                                    FrameSums* sums, float* factors) {
  const Sums total = frame_total(bands + std::int64_t{blockIdx.x} * count, count);
  if (threadIdx.x != 0) return;
  sums[blockIdx.x].before = total;
  factors[blockIdx.x] = static_cast<float>(exact_factor(total, keep, target[blockIdx.x], gain[blockIdx.x]));
}

template <bool one_tile>
__global__ void scale_bands(TilesView view, Bands bands, const float* factors, bool clamp, float* frames, Sums* out) {
  const int frame = bands.image();
  const float factor = factors[frame];
  Sums mine{0, 0};
  bands.for_vectors([&](int row, int column) {
    const int n = bands.columns - column;
    float* const to = frames + (std::int64_t{frame} * bands.rows + row) * bands.columns + column;
    Vector<float> values = one_tile ? assembled<true>(view, frame, row, column, n) : load(to, n);
    for (int i = 0; i < kVector; ++i) {
      values.at[i] = scaled(values.at[i], factor, clamp);
      mine.all += i < n ? values.at[i] : 0.0f;  // no factor of infinity makes a NaN of what is beyond the row
    }
    store(values, to, n);
  });
  const Sums all = block_sums(mine);
  if (threadIdx.x == 0 && threadIdx.y == 0) out[blockIdx.x] = all;
}

static __global__ void find_totals(const Sums* bands, int count, FrameSums* sums) {
  const Sums total = frame_total(bands + std::int64_t{blockIdx.x} * count, count);
  if (threadIdx.x == 0) sums[blockIdx.x].after = total;
}

// What finishing needs in device memory beside tiles and frames.
struct FinishMemory {
  Sums* bands;  // as many as Bands has, for each frame
  float* factors;
  FrameSums* sums;
};

template <bool one_tile>
void launch_finish(const TilesView& view, Shape shape, const Finishing& finishing, float* frames,
                   const FinishMemory& memory, cudaStream_t stream) {
  const Bands bands(shape.rows, shape.columns);
  const dim3 blocks = bands.blocks(shape.frames), threads = bands.threads();
  const auto each = static_cast<unsigned>(shape.frames);
  launch(sum_bands<one_tile>, blocks, threads, stream, view, bands, frames, memory.bands);
  launch(find_factors, each, kBlock, stream, memory.bands, bands.count, finishing.keep, finishing.target,
         finishing.gain, memory.sums, memory.factors);
  launch(scale_bands<one_tile>, blocks, threads, stream, view, bands, memory.factors, finishing.keep == Keep::sum,
         frames, memory.bands);
  launch(find_totals, each, kBlock, stream, memory.bands, bands.count, memory.sums);
}

template <class T>
void launch_stage(const T* pixels, std::int64_t frames, const LayoutView& layout, const Staging& staging, float* out,
                  cudaStream_t stream) {
  const Bands bands(layout.rows.tile, layout.columns.tile);
  launch(stage_tiles<T>, bands.blocks(frames * staging.tiles.count), bands.threads(), stream, pixels, layout,
         staging.tiles, staging.rescale, staging.contrast, bands, out);
}

}  // namespace gpu
}  // namespace photopeak
