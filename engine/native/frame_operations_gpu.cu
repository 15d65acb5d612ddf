// The CUDA twin of frame_operations_cpu.cpp: the same bodies under kernels, results back in host memory.
//
// What happens to single pixels gives the bits of the CPU. Sums are taken in another, fixed order.
#include <vector>

#include "frame_kernels_gpu.hpp"
#include "frame_quantiles.hpp"
#include "frame_queue_gpu.hpp"
#include "frame_rounding_gpu.hpp"

namespace photopeak {
namespace gpu {

// One axis of a layout in device memory.
struct DeviceAxis {
  explicit DeviceAxis(const Axis& axis)
      : start(axis.start.data(), static_cast<std::int64_t>(axis.start.size())),
        weight(axis.weight.data(), static_cast<std::int64_t>(axis.weight.size())),
        view(view_of(axis, start.get(), weight.get())) {}

  Buffer<std::int64_t> start;
  Buffer<float> weight;
  AxisView view;
};

template <class T>
void stage(const T* pixels, Shape shape, const Layout& layout, const Staging& staging, float* tiles) {
  const DeviceAxis down(layout.rows), across(layout.columns);
  const Buffer<T> in(pixels, shape.size());
  const Buffer<Rescale> rescale(staging.rescale, shape.frames);
  const Buffer<Contrast> contrast(staging.contrast, shape.frames);
  const Buffer<float> result(shape.frames * staging.tiles.count * layout.rows.tile * layout.columns.tile);
  launch_stage(in.get(), shape.frames, {down.view, across.view, static_cast<int>(layout.scale)},
               {rescale.get(), contrast.get(), staging.tiles}, result.get(), own_stream());
  result.download(tiles);
}

// Adds the values of all threads of a block in a fixed order; thread 0 has the result. kThreads is a power of two.
template <class Value, class Add>
__device__ Value block_total(Value mine, Add add) {
  __shared__ Value values[kThreads];
  values[threadIdx.x] = mine;
  for (unsigned half = kThreads / 2; half > 0; half /= 2) {
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
  const Buffer<float> in(frames, shape.size());
  const Buffer<Moments> result(shape.frames * bands);
  launch(band_moments, static_cast<unsigned>(shape.frames * bands), kThreads, own_stream(), in.get(), shape, bands,
         result.get());
  std::vector<Moments> moments(static_cast<std::size_t>(shape.frames * bands));
  result.download(moments.data());
  for (std::int64_t frame = 0; frame < shape.frames; ++frame)
    out[frame] = statistics_of(&moments[frame * bands], bands, shape);
}

void finish(const float* tiles, const Layout& layout, const Finishing& finishing, Shape shape, float* out,
            Totals totals) {
  const std::int64_t tile_pixels = layout.scale * layout.scale * layout.rows.tile * layout.columns.tile;
  const DeviceAxis down(layout.rows), across(layout.columns);
  const Buffer<float> in(tiles, shape.frames * layout.tiles() * tile_pixels), result(shape.size());
  const Buffer<double> target(finishing.target, shape.frames), gain(finishing.gain, shape.frames);
  const Buffer<Sums> bands(shape.frames * Bands(shape.rows, shape.columns).count);
  const Buffer<float> factors(shape.frames);
  const Buffer<FrameSums> found(shape.frames);
  const auto launch = layout.tiles() == 1 ? launch_finish<true> : launch_finish<false>;
  launch({in.get(), {down.view, across.view, static_cast<int>(layout.scale)}}, shape,
         {finishing.keep, target.get(), gain.get()}, result.get(), {bands.get(), factors.get(), found.get()},
         own_stream());
  std::vector<FrameSums> sums(static_cast<std::size_t>(shape.frames));
  found.download(sums.data());
  for (std::int64_t i = 0; i < shape.frames; ++i) {
    factor_of(sums[i].before, finishing, i);  // throws where there is none
    totals.before[i] = sums[i].before.all * finishing.gain[i];
    totals.after[i] = sums[i].after.all;
  }
  result.download(out);
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
    const Buffer<std::uint32_t> least(&none, 1);
    find_next_above(bits_.get(), n_, key, least.get());
    std::uint32_t next;
    least.download(&next);
    return next;
  }

  std::int64_t n_;
  Buffer<std::uint32_t> bits_, device_counts_{kBins};
  PrefixCounts prefixes_;
  std::uint32_t counts_[kBins];
};

class CudaOperations final : public FrameOperations {
 public:
  void stage(const void* pixels, Stored type, Shape shape, const Layout& layout, const Staging& staging, float* tiles,
             int) const override {
    const BesideRecording beside;
    with_type(type, [&](auto zero) {
      gpu::stage(static_cast<const decltype(zero)*>(pixels), shape, layout, staging, tiles);
    });
  }

  void finish(const float* tiles, const Layout& layout, const Finishing& finishing, Shape shape, float* out,
              Totals totals, int) const override {
    const BesideRecording beside;
    gpu::finish(tiles, layout, finishing, shape, out, totals);
  }

  void to_stored(const float* frames, Shape shape, const Rescale* rescale, Stored type, bool keep_sum, void* out,
                 int) const override {
    const BesideRecording beside;
    bool fits = true;
    with_integer(type, [&](auto zero) {
      fits = gpu::to_stored(frames, shape, rescale, range_of(type), keep_sum, static_cast<decltype(zero)*>(out));
    });
    if (!fits) report_misfit(frames, shape, rescale, type);
  }

  void robust_scale(const float* frames, Shape shape, double q, float* low, float* high, int) const override {
    const BesideRecording beside;
    for (std::int64_t frame = 0; frame < shape.frames; ++frame) {
      DeviceQuantiles quantiles(frames + frame * shape.pixels(), shape.pixels());
      if (!quantiles.finite()) report_non_finite(frame);
      low[frame] = quantiles.at(1.0 - q);
      high[frame] = quantiles.at(q);
    }
  }

  void statistics(const float* frames, Shape shape, FrameStatistics* out, int) const override {
    const BesideRecording beside;
    gpu::statistics(frames, shape, out);
  }
};

}  // namespace gpu

const FrameOperations& cuda_operations() {
  gpu::need_device();
  static const gpu::CudaOperations operations;
  return operations;
}

}  // namespace photopeak
