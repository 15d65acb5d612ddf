// Rounding on a GPU: the twin of frame_rounding.cpp. Only for CUDA files.
#pragma once

#include "frame_queue_gpu.hpp"
#include "frame_results.hpp"

namespace photopeak {
namespace gpu {

template <class T>
void round_plain(const float* frames, Shape shape, const Rescale* rescale, StoredRange range, T* out, int* misfit) {
  const std::int64_t pixels = shape.pixels();
  for_each(shape.size(), [=] __device__(std::int64_t i) {
    const Rescale r = rescale[i / pixels];
    const Split value = split_value(frames[i], 1.0 / r.slope, r.intercept, range);
    out[i] = static_cast<T>(rounded(value));
    if (value.misfit) *misfit = 1;
  });
}

struct Strips {
  Shape shape;
  std::int64_t count;                // of a frame
  std::int32_t *rest[2], *pixel[2];  // each as large as the stack
  Player* roots;
};

// One block plays one strip, in the rounds of play_strip in frame_loops.cpp.
template <class T>
__global__ void round_strips(const float* frames, Strips strips, const Rescale* rescale, StoredRange range, T* stored,
                             int* misfit) {
  const std::int64_t frame = blockIdx.x / strips.count, strip = blockIdx.x % strips.count;
  const std::int64_t width = strips.shape.columns, first = strip * kStripRows, start = first * width;
  const std::int64_t frame_start = frame * strips.shape.pixels();
  const Rescale r = rescale[frame];
  T* out = stored + frame_start;
  std::int64_t rows = strips.shape.rows - first < kStripRows ? strips.shape.rows - first : kStripRows, columns = width;
  int now = 0;
  const auto rest = [&](int side) { return strips.rest[side] + frame_start + start; };
  const auto pixel = [&](int side) { return strips.pixel[side] + frame_start + start; };
  const auto meet = [&](std::int64_t a, std::int64_t b, std::int64_t to) {
    const Match match = play({rest(now)[a], pixel(now)[a]}, {rest(now)[b], pixel(now)[b]});
    rest(1 - now)[to] = match.winner.rest;
    pixel(1 - now)[to] = match.winner.pixel;
    out[match.out] = static_cast<T>(out[match.out] + match.up);
  };
  const auto pass_on = [&](std::int64_t from, std::int64_t to) {
    rest(1 - now)[to] = rest(now)[from];
    pixel(1 - now)[to] = pixel(now)[from];
  };

  for (std::int64_t i = threadIdx.x; i < rows * columns; i += blockDim.x) {
    const Split value = split_value(frames[frame_start + start + i], 1.0 / r.slope, r.intercept, range);
    out[start + i] = static_cast<T>(value.whole);
    rest(0)[i] = value.rest;
    pixel(0)[i] = static_cast<std::int32_t>(start + i);
    if (value.misfit) *misfit = 1;
  }
  __syncthreads();
  while (rows > 1 || columns > 1) {
    if (rows > 1) {
      const std::int64_t next = (rows + 1) / 2;
      for (std::int64_t i = threadIdx.x; i < next * columns; i += blockDim.x) {
        const std::int64_t row = i / columns, at = i % columns, a = 2 * row * width + at, to = row * width + at;
        2 * row + 1 < rows ? meet(a, a + width, to) : pass_on(a, to);
      }
      rows = next;
      now = 1 - now;
      __syncthreads();
    }
    if (columns > 1) {
      const std::int64_t next = (columns + 1) / 2;
      for (std::int64_t i = threadIdx.x; i < rows * next; i += blockDim.x) {
        const std::int64_t row = i / next, at = i % next, a = row * width + 2 * at, to = row * width + at;
        2 * at + 1 < columns ? meet(a, a + 1, to) : pass_on(a, to);
      }
      columns = next;
      now = 1 - now;
      __syncthreads();
    }
  }
  if (threadIdx.x == 0) strips.roots[blockIdx.x] = {rest(now)[0], pixel(now)[0]};
}

// The winners of the strips meet from top to bottom; the last rest is rounded to the nearest.
template <class T>
void settle(const Strips& strips, T* stored) {
  for_each(strips.shape.frames, [strips, stored] __device__(std::int64_t frame) {
    T* out = stored + frame * strips.shape.pixels();
    const Player* roots = strips.roots + frame * strips.count;
    Player last = roots[0];
    for (std::int64_t strip = 1; strip < strips.count; ++strip) {
      const Match match = play(last, roots[strip]);
      out[match.out] = static_cast<T>(out[match.out] + match.up);
      last = match.winner;
    }
    out[last.pixel] = static_cast<T>(out[last.pixel] + (last.rest >> (kRestBits - 1)));
  });
}

// False when a pixel does not fit.
template <class T>
bool to_stored(const float* frames, Shape shape, const Rescale* rescale, StoredRange range, bool keep_sum, T* out) {
  const Buffer<float> in(frames, shape.size());
  const Buffer<Rescale> rescales(rescale, shape.frames);
  const Buffer<T> result(shape.size());
  const Buffer<int> misfit(1);
  misfit.clear();
  if (keep_sum) {
    const std::int64_t count = (shape.rows + kStripRows - 1) / kStripRows;
    const Buffer<std::int32_t> rest0(shape.size()), rest1(shape.size()), pixel0(shape.size()), pixel1(shape.size());
    const Buffer<Player> roots(shape.frames * count);
    const Strips strips{shape, count, {rest0.get(), rest1.get()}, {pixel0.get(), pixel1.get()}, roots.get()};
    launch(round_strips<T>, static_cast<unsigned>(shape.frames * count), kThreads, own_stream(), in.get(), strips,
           rescales.get(), range, result.get(), misfit.get());
    settle(strips, result.get());
    result.download(out);
  } else {
    round_plain(in.get(), shape, rescales.get(), range, result.get(), misfit.get());
    result.download(out);
  }
  int found = 0;
  misfit.download(&found);
  return found == 0;
}

}  // namespace gpu
}  // namespace photopeak
