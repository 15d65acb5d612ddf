// The CUDA twin of frame_operations_cpu.cpp: the same bodies under kernels, results back in host memory.
//
// What happens to single pixels gives the bits of the CPU. Sums are taken in another, fixed order.
#include <cuda_runtime.h>

#include <vector>

#include "frame_quantiles.hpp"
#include "frame_results.hpp"

namespace photopeak {
namespace gpu {

constexpr int kThreads = 256;

void check(cudaError_t status) {
  if (status == cudaSuccess) return;
  throw DeviceError(std::string("CUDA reports: ") + cudaGetErrorString(status) + "; use the CPU or repair the driver.");
}

template <class T>
class DeviceBuffer {
 public:
  explicit DeviceBuffer(std::int64_t n) : n_(static_cast<std::size_t>(n)) {
    if (n_ > 0) check(cudaMalloc(&data_, n_ * sizeof(T)));
  }
  DeviceBuffer(const T* host, std::int64_t n) : DeviceBuffer(n) {
    if (n_ > 0) check(cudaMemcpy(data_, host, n_ * sizeof(T), cudaMemcpyHostToDevice));
  }
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;
  ~DeviceBuffer() { cudaFree(data_); }

  T* get() const { return data_; }
  void clear() { check(cudaMemset(data_, 0, n_ * sizeof(T))); }
  void download(T* host) const { check(cudaMemcpy(host, data_, n_ * sizeof(T), cudaMemcpyDeviceToHost)); }

 private:
  T* data_ = nullptr;
  std::size_t n_;
};

template <class Body>
__global__ void kernel_for_each(std::int64_t n, Body body) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += step) body(i);
}

// Calls body(0) ... body(n - 1) on the device.
template <class Body>
void for_each(std::int64_t n, Body body) {
  const std::int64_t blocks = (n + kThreads - 1) / kThreads;
  kernel_for_each<<<static_cast<unsigned>(blocks < 65536 ? blocks : 65536), kThreads>>>(n, body);
  check(cudaGetLastError());
}

// One axis of a layout in device memory.
struct DeviceAxis {
  struct View {
    std::int64_t length, tile, count;
    const std::int64_t* start;
    const float* weight;
  };

  explicit DeviceAxis(const Axis& axis)
      : start(axis.start.data(), static_cast<std::int64_t>(axis.start.size())),
        weight(axis.weight.data(), static_cast<std::int64_t>(axis.weight.size())),
        view{axis.length, axis.tile, static_cast<std::int64_t>(axis.start.size()), start.get(), weight.get()} {}

  DeviceBuffer<std::int64_t> start;
  DeviceBuffer<float> weight;
  View view;
};

template <class T>
void stage(const T* pixels, Shape shape, const Layout& layout, const Staging& staging, float* tiles) {
  const DeviceAxis down(layout.rows), across(layout.columns);
  const DeviceBuffer<T> in(pixels, shape.size());
  const DeviceBuffer<Rescale> rescale(staging.rescale, shape.frames);
  const DeviceBuffer<Contrast> contrast(staging.contrast, shape.frames);
  const std::int64_t size = shape.frames * staging.tiles.count * down.view.tile * across.view.tile;
  const DeviceBuffer<float> result(size);
  for_each(size, [shape, rows = down.view, columns = across.view, choice = staging.tiles, from = in.get(),
                  rescales = rescale.get(), contrasts = contrast.get(), to = result.get()] __device__(std::int64_t i) {
    const std::int64_t made = i / (rows.tile * columns.tile), frame = made / choice.count;
    const std::int64_t tile = choice.first + made % choice.count;
    const std::int64_t row = rows.start[tile / columns.count] + i / columns.tile % rows.tile;
    const std::int64_t column = columns.start[tile % columns.count] + i % columns.tile;
    const T* pixel = from + (frame * shape.rows + reflected(row, rows.length)) * shape.columns;
    const Rescale r = rescales[frame];
    const Contrast c = contrasts[frame];
    to[i] = staged(pixel[reflected(column, columns.length)], r.slope, r.intercept, c.low, c.inverse_width);
  });
  result.download(tiles);
}

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
  const DeviceBuffer<float> in(frames, shape.size());
  const DeviceBuffer<Rescale> rescales(rescale, shape.frames);
  const DeviceBuffer<T> result(shape.size());
  DeviceBuffer<int> misfit(1);
  misfit.clear();
  if (keep_sum) {
    const std::int64_t count = (shape.rows + kStripRows - 1) / kStripRows;
    const DeviceBuffer<std::int32_t> rest0(shape.size()), rest1(shape.size()), pixel0(shape.size()),
        pixel1(shape.size());
    const DeviceBuffer<Player> roots(shape.frames * count);
    const Strips strips{shape, count, {rest0.get(), rest1.get()}, {pixel0.get(), pixel1.get()}, roots.get()};
    round_strips<<<static_cast<unsigned>(shape.frames * count), kThreads>>>(in.get(), strips, rescales.get(), range,
                                                                            result.get(), misfit.get());
    check(cudaGetLastError());
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

// Adds the values of all threads of a block in a fixed order; thread 0 has the result. kThreads is a power of two.
template <class Value, class Add>
__device__ Value block_total(Value mine, Add add) {
  __shared__ Value values[kThreads];
  values[threadIdx.x] = mine;
  for (int half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) add(values[threadIdx.x], values[threadIdx.x + half]);
  }
  __syncthreads();
  return values[0];
}

__device__ float anscombe(float pixel) { return 2.0f * sqrtf(anscombe_radicand(pixel)); }

__device__ double squared_difference(float a, float b) { return static_cast<double>((a - b) * (a - b)); }

__device__ void add_pixel(Moments& m, const float* frame, Shape shape, std::int64_t i) {
  const std::int64_t row = i / shape.columns, column = i % shape.columns;
  const float x = frame[i], z = anscombe(x);
  const bool finite = isfinite(x);
  if (finite) {
    m.sum += x;
    m.minimum = x < m.minimum ? x : m.minimum;
    m.maximum = x > m.maximum ? x : m.maximum;
  }
  m.nonzero += finite && x != 0.0f;
  m.non_finite += !finite;
  m.fractions += finite && has_fraction(x);
  m.z += z;
  m.zz += static_cast<double>(z) * z;
  if (column > 0) m.difference_1 += squared_difference(z, anscombe(frame[i - 1]));
  if (column > 1) m.difference_2 += squared_difference(z, anscombe(frame[i - 2]));
  if (row > 0) m.difference_1 += squared_difference(z, anscombe(frame[i - shape.columns]));
  if (row > 1) m.difference_2 += squared_difference(z, anscombe(frame[i - 2 * shape.columns]));
}

__global__ void band_moments(const float* frames, Shape shape, std::int64_t bands, Moments* out) {
  const std::int64_t frame = blockIdx.x / bands, begin = blockIdx.x % bands * kBandRows;
  const std::int64_t end = begin + kBandRows < shape.rows ? begin + kBandRows : shape.rows;
  Moments mine{0, 0, 0, 0, 0, INFINITY, -INFINITY, 0, 0, 0};
  for (std::int64_t i = begin * shape.columns + threadIdx.x; i < end * shape.columns; i += blockDim.x)
    add_pixel(mine, frames + frame * shape.pixels(), shape, i);
  const Moments all = block_total(mine, [](Moments& to, const Moments& m) { add(to, m); });
  if (threadIdx.x == 0) out[blockIdx.x] = all;
}

void statistics(const float* frames, Shape shape, FrameStatistics* out) {
  const std::int64_t bands = (shape.rows + kBandRows - 1) / kBandRows;
  const DeviceBuffer<float> in(frames, shape.size());
  const DeviceBuffer<Moments> result(shape.frames * bands);
  band_moments<<<static_cast<unsigned>(shape.frames * bands), kThreads>>>(in.get(), shape, bands, result.get());
  check(cudaGetLastError());
  std::vector<Moments> moments(static_cast<std::size_t>(shape.frames * bands));
  result.download(moments.data());
  for (std::int64_t frame = 0; frame < shape.frames; ++frame)
    out[frame] = statistics_of(&moments[frame * bands], bands, shape);
}

constexpr std::int64_t kSumPixels = 1 << 15;  // that one block adds

__global__ void chunk_sums(const float* frames, std::int64_t pixels, std::int64_t chunks, Sums* out) {
  const float* frame = frames + blockIdx.x / chunks * pixels;
  const std::int64_t begin = blockIdx.x % chunks * kSumPixels;
  const std::int64_t end = begin + kSumPixels < pixels ? begin + kSumPixels : pixels;
  Sums mine{0, 0};
  for (std::int64_t i = begin + threadIdx.x; i < end; i += blockDim.x) {
    mine.all += frame[i];
    mine.positive += not_negative(frame[i]);
  }
  const Sums all = block_total(mine, [](Sums& to, const Sums& s) { to = {to.all + s.all, to.positive + s.positive}; });
  if (threadIdx.x == 0) out[blockIdx.x] = all;
}

// Returns the sums of each frame of a stack on the device.
std::vector<Sums> frame_sums(const float* frames, Shape shape) {
  const std::int64_t pixels = shape.pixels(), chunks = (pixels + kSumPixels - 1) / kSumPixels;
  const DeviceBuffer<Sums> partial(shape.frames * chunks);
  chunk_sums<<<static_cast<unsigned>(shape.frames * chunks), kThreads>>>(frames, pixels, chunks, partial.get());
  check(cudaGetLastError());
  std::vector<Sums> parts(static_cast<std::size_t>(shape.frames * chunks)), sums(shape.frames);
  partial.download(parts.data());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    sums[i / chunks].all += parts[i].all;
    sums[i / chunks].positive += parts[i].positive;
  }
  return sums;
}

// Puts the tiles of all frames of a stack on the device together, in the order of the CPU.
void assemble(const float* tiles, const Layout& layout, Shape shape, float* out) {
  const DeviceAxis down(layout.rows), across(layout.columns);
  for_each(shape.size(), [=, rows = down.view, columns = across.view, scale = layout.scale] __device__(std::int64_t i) {
    const std::int64_t column = i % shape.columns, row = i / shape.columns % shape.rows, frame = i / shape.pixels();
    const std::int64_t height = scale * rows.tile, width = scale * columns.tile;
    float sum = 0.0f;
    bool first = true;
    for (std::int64_t d = 0; d < rows.count; ++d)
      for (std::int64_t a = 0; a < columns.count; ++a) {
        const std::int64_t y = row - scale * rows.start[d], x = column - scale * columns.start[a];
        if (y < 0 || y >= height || x < 0 || x >= width) continue;
        const float row_weight = rows.weight[d * height + y], column_weight = columns.weight[a * width + x];
        if (row_weight == 0.0f || column_weight == 0.0f) continue;
        const std::int64_t tile = (frame * rows.count + d) * columns.count + a;
        const float part = weighted(row_weight, column_weight, tiles[(tile * height + y) * width + x]);
        sum = first ? part : sum + part;
        first = false;
      }
    out[i] = sum;
  });
}

void finish(const float* tiles, const Layout& layout, const Finishing& finishing, Shape shape, float* out,
            Totals totals) {
  const std::int64_t tile_pixels = layout.scale * layout.scale * layout.rows.tile * layout.columns.tile;
  const DeviceBuffer<float> in(tiles, shape.frames * layout.tiles() * tile_pixels), result(shape.size());
  assemble(in.get(), layout, shape, result.get());
  const std::vector<Sums> before = frame_sums(result.get(), shape);
  std::vector<float> factors;
  for (std::int64_t i = 0; i < shape.frames; ++i) factors.push_back(factor_of(before[i], finishing, i));
  const DeviceBuffer<float> factor(factors.data(), shape.frames);
  for_each(shape.size(),
           [pixels = shape.pixels(), clamp = finishing.keep == Keep::sum, by = factor.get(),
            to = result.get()] __device__(std::int64_t i) { to[i] = scaled(to[i], by[i / pixels], clamp); });
  const std::vector<Sums> after = frame_sums(result.get(), shape);
  result.download(out);
  for (std::int64_t i = 0; i < shape.frames; ++i) {
    totals.before[i] = before[i].all * finishing.gain[i];
    totals.after[i] = after[i].all;
  }
}

// Counts the digit at `shift` of the keys that agree with `key` under `mask`.
void count_digits(const std::uint32_t* bits, std::int64_t n, std::uint32_t key, std::uint32_t mask, int shift,
                  std::uint32_t* counts) {
  for_each(n, [=] __device__(std::int64_t i) {
    const std::uint32_t other = bits[i] ^ flip_of(bits[i]);
    if ((other & mask) == key) atomicAdd(counts + (other >> shift & (kBins - 1)), 1u);
  });
}

void find_next_above(const std::uint32_t* bits, std::int64_t n, std::uint32_t key, std::uint32_t* least) {
  for_each(n, [=] __device__(std::int64_t i) {
    const std::uint32_t other = bits[i] ^ flip_of(bits[i]);
    if (other > key) atomicMin(least, other);
  });
}

// Exact quantiles of one frame on the device: three counting passes, as Quantiles does on the CPU.
class DeviceQuantiles {
 public:
  DeviceQuantiles(const float* frame, std::int64_t n) : n_(n), bits_(reinterpret_cast<const std::uint32_t*>(frame), n) {
    count(0, 0, kPrefixShift);
    for (std::uint32_t bin = 0; bin < kBins; ++bin) prefixes_.pixels[bin] = counts_[bin];
  }

  bool finite() const { return !has_non_finite(prefixes_); }

  float at(double q) {
    const Rank rank = rank_of(q, n_);
    std::int64_t inside = rank.below;
    std::uint32_t key = find_bin(prefixes_.pixels, inside) << kPrefixShift;
    std::uint32_t mask = 0xffffffffu << kPrefixShift;
    std::uint32_t equal = 0;
    for (const int shift : {kMiddleShift, 0}) {
      count(key, mask, shift);
      const std::uint32_t digit = find_bin(counts_, inside);
      key |= digit << shift;
      mask = 0xffffffffu << shift;
      equal = counts_[digit];
    }
    const double below = float_of(key);
    const std::uint32_t next = inside + 1 < equal ? key : next_above(key);
    if (rank.weight == 0.0 || next == kNothingAbove) return static_cast<float>(below);
    return static_cast<float>(below + (float_of(next) - below) * rank.weight);
  }

 private:
  void count(std::uint32_t key, std::uint32_t mask, int shift) {
    device_counts_.clear();
    count_digits(bits_.get(), n_, key, mask, shift, device_counts_.get());
    device_counts_.download(counts_);
  }

  std::uint32_t next_above(std::uint32_t key) {
    const std::uint32_t none = kNothingAbove;
    const DeviceBuffer<std::uint32_t> least(&none, 1);
    find_next_above(bits_.get(), n_, key, least.get());
    std::uint32_t next;
    least.download(&next);
    return next;
  }

  std::int64_t n_;
  DeviceBuffer<std::uint32_t> bits_, device_counts_{kBins};
  PrefixCounts prefixes_;
  std::uint32_t counts_[kBins];
};

class CudaOperations final : public FrameOperations {
 public:
  void stage(const void* pixels, Stored type, Shape shape, const Layout& layout, const Staging& staging, float* tiles,
             int) const override {
    with_type(type, [&](auto zero) {
      gpu::stage(static_cast<const decltype(zero)*>(pixels), shape, layout, staging, tiles);
    });
  }

  void finish(const float* tiles, const Layout& layout, const Finishing& finishing, Shape shape, float* out,
              Totals totals, int) const override {
    gpu::finish(tiles, layout, finishing, shape, out, totals);
  }

  void to_stored(const float* frames, Shape shape, const Rescale* rescale, Stored type, bool keep_sum, void* out,
                 int) const override {
    bool fits = true;
    with_integer(type, [&](auto zero) {
      fits = gpu::to_stored(frames, shape, rescale, range_of(type), keep_sum, static_cast<decltype(zero)*>(out));
    });
    if (!fits) report_misfit(frames, shape, rescale, type);
  }

  void robust_scale(const float* frames, Shape shape, double q, float* low, float* high, int) const override {
    for (std::int64_t frame = 0; frame < shape.frames; ++frame) {
      DeviceQuantiles quantiles(frames + frame * shape.pixels(), shape.pixels());
      if (!quantiles.finite()) report_non_finite(frame);
      low[frame] = quantiles.at(1.0 - q);
      high[frame] = quantiles.at(q);
    }
  }

  void statistics(const float* frames, Shape shape, FrameStatistics* out, int) const override {
    gpu::statistics(frames, shape, out);
  }
};

}  // namespace gpu

const FrameOperations& cuda_operations() {
  int devices = 0;
  gpu::check(cudaGetDeviceCount(&devices));
  static const gpu::CudaOperations operations;
  return operations;
}

}  // namespace photopeak
