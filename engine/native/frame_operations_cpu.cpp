// The CPU twin of frame_operations_gpu.cu: OpenMP around the loops of frame_loops.cpp.
//
// Work is cut into pieces that do not depend on the number of threads, so results do not either.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

#include "frame_loops.hpp"
#include "frame_quantiles.hpp"
#include "frame_results.hpp"

namespace photopeak {
namespace {

constexpr std::int64_t kChunk = 1 << 15;  // pixels in a piece of work
// Pixels that pay for one more thread: waking it may take longer than the work on a small frame.
constexpr std::int64_t kPixelsForThread = 1 << 18;

// Calls body(0) ... body(count - 1), which together visit so many pixels.
template <class Body>
void parallel_for(std::int64_t count, std::int64_t pixels, int threads, Body&& body) {
#ifdef _OPENMP
  const int team = static_cast<int>(std::min<std::int64_t>({threads, count, 1 + pixels / kPixelsForThread}));
  if (team > 1) {
    std::exception_ptr failure;  // scratch may not fit into memory; leaving the parallel region would end the process
#pragma omp parallel for num_threads(team) schedule(dynamic)
    for (std::int64_t i = 0; i < count; ++i) {
      try {
        body(i);
      } catch (...) {
#pragma omp critical(photopeak_failure)
        failure = std::current_exception();
      }
    }
    if (failure) std::rethrow_exception(failure);
    return;
  }
#endif
  static_cast<void>(pixels), static_cast<void>(threads);
  for (std::int64_t i = 0; i < count; ++i) body(i);
}

std::int64_t pieces(std::int64_t n, std::int64_t size) { return (n + size - 1) / size; }

class CpuOperations final : public FrameOperations {
 public:
  void to_float(const void* stored, Stored type, Shape shape, const Rescale* rescale, float* out,
                int threads) const override {
    const Loops& simd = loops();
    const std::int64_t bytes = bytes_of(type);
    for_chunks(shape, threads, [&](std::int64_t frame, std::int64_t at, std::int64_t n, std::int64_t) {
      simd.to_float(static_cast<const char*>(stored) + at * bytes, type, n, rescale[frame], out + at);
    });
  }

  void to_stored(const float* frames, Shape shape, const Rescale* rescale, Stored type, bool keep_sum, void* out,
                 int threads) const override {
    const Loops& simd = loops();
    const StoredRange range = range_of(type);
    const std::int64_t strips = pieces(shape.rows, kStripRows), bytes = bytes_of(type);
    std::vector<Player> roots(static_cast<std::size_t>(shape.frames * strips));
    std::vector<char> misfit(static_cast<std::size_t>(shape.frames * strips));
    parallel_for(shape.frames * strips, shape.size(), threads, [&](std::int64_t i) {
      const std::int64_t frame = i / strips, row = i % strips * kStripRows;
      const std::int64_t rows = std::min(kStripRows, shape.rows - row);
      const RoundingJob job{frames + frame * shape.pixels(), shape.columns, 1.0 / rescale[frame].slope,
                            rescale[frame].intercept, range};
      const StoredFrame target{static_cast<char*>(out) + frame * shape.pixels() * bytes, type};
      if (keep_sum) {
        misfit[i] = !simd.round_strip(job, row, rows, scratch_for(shape.columns), target, &roots[i]);
      } else {
        misfit[i] = !simd.round_plain(job, row * shape.columns, (row + rows) * shape.columns, target);
      }
    });
    if (std::find(misfit.begin(), misfit.end(), 1) != misfit.end()) report_misfit(frames, shape, rescale, type);
    if (!keep_sum) return;
    for (std::int64_t frame = 0; frame < shape.frames; ++frame)
      settle(&roots[frame * strips], strips, {static_cast<char*>(out) + frame * shape.pixels() * bytes, type});
  }

  void resize(const float* frames, Shape from, float* out, Shape to, int threads) const override {
    const std::int64_t rows_per_piece = std::max<std::int64_t>(1, kChunk / to.columns);
    const std::int64_t per_frame = pieces(to.rows, rows_per_piece);
    parallel_for(to.frames * per_frame, to.size(), threads, [&](std::int64_t i) {
      const std::int64_t frame = i / per_frame, first = i % per_frame * rows_per_piece;
      for (std::int64_t row = first; row < std::min(to.rows, first + rows_per_piece); ++row)
        resize_row(frames + (frame * from.rows + reflected(row, from.rows)) * from.columns, from.columns,
                   out + (frame * to.rows + row) * to.columns, to.columns);
    });
  }

  void robust_scale(const float* frames, Shape shape, double q, float* low, float* high, int threads) const override {
    std::vector<char> bad(static_cast<std::size_t>(shape.frames));
    parallel_for(shape.frames, shape.size(), threads, [&](std::int64_t frame) {
      thread_local Quantiles quantiles;
      bad[frame] = !quantiles.load(frames + frame * shape.pixels(), shape.pixels());
      if (bad[frame]) return;
      low[frame] = quantiles.at(1.0 - q);
      high[frame] = quantiles.at(q);
    });
    const auto first = std::find(bad.begin(), bad.end(), 1);
    if (first != bad.end()) report_non_finite(first - bad.begin());
  }

  void normalise(const float* frames, Shape shape, const float* low, const float* high, float* out,
                 int threads) const override {
    const Loops& simd = loops();
    for_chunks(shape, threads, [&](std::int64_t frame, std::int64_t at, std::int64_t n, std::int64_t) {
      simd.normalise(frames + at, n, low[frame], inverse_width(low[frame], high[frame]), out + at);
    });
  }

  void split(const float* frames, Shape shape, const TileGrid& grid, float* tiles, int threads) const override {
    const std::int64_t per_frame = grid.down * grid.across;
    parallel_for(shape.frames * per_frame, shape.size(), threads, [&](std::int64_t i) {
      const std::int64_t down = i % per_frame / grid.across, across = i % grid.across;
      const float* from =
          frames + i / per_frame * shape.pixels() + grid.row_start[down] * shape.columns + grid.column_start[across];
      float* to = tiles + i * grid.tile_rows * grid.tile_columns;
      for (std::int64_t row = 0; row < grid.tile_rows; ++row)
        std::memcpy(to + row * grid.tile_columns, from + row * shape.columns, bytes_of_row(grid.tile_columns));
    });
  }

  void blend(const float* tiles, const TileGrid& grid, float* out, Shape shape, int threads) const override {
    const Loops& simd = loops();
    const std::int64_t tile_pixels = grid.tile_rows * grid.tile_columns;
    parallel_for(shape.frames * shape.rows, shape.size(), threads, [&](std::int64_t i) {
      const std::int64_t frame = i / shape.rows, row = i % shape.rows;
      float* to = out + i * shape.columns;
      std::memset(to, 0, bytes_of_row(shape.columns));
      for (std::int64_t down = 0; down < grid.down; ++down) {
        const std::int64_t inside = row - grid.row_start[down];
        if (inside < 0 || inside >= grid.tile_rows) continue;
        for (std::int64_t across = 0; across < grid.across; ++across)
          simd.blend_row(
              tiles + ((frame * grid.down + down) * grid.across + across) * tile_pixels + inside * grid.tile_columns,
              grid.column_weight + across * grid.tile_columns, grid.row_weight[down * grid.tile_rows + inside],
              grid.tile_columns, to + grid.column_start[across]);
      }
    });
  }

  void statistics(const float* frames, Shape shape, FrameStatistics* out, int threads) const override {
    const Loops& simd = loops();
    const std::int64_t bands = pieces(shape.rows, kBandRows);
    std::vector<Moments> moments(static_cast<std::size_t>(shape.frames * bands));
    parallel_for(shape.frames * bands, shape.size(), threads, [&](std::int64_t i) {
      const std::int64_t begin = i % bands * kBandRows, end = std::min(shape.rows, begin + kBandRows);
      moments[i] =
          simd.moments(frames + i / bands * shape.pixels(), shape.columns, begin, end, floats_for(4 * shape.columns));
    });
    for (std::int64_t frame = 0; frame < shape.frames; ++frame)
      out[frame] = statistics_of(&moments[frame * bands], bands, shape);
  }

  void conserve(const float* frames, Shape shape, const double* target, float* out, Totals totals,
                int threads) const override {
    const Loops& simd = loops();
    const std::int64_t per_frame = pieces(shape.pixels(), kChunk);
    std::vector<Sums> parts(static_cast<std::size_t>(shape.frames * per_frame)), sums(shape.frames);
    for_chunks(shape, threads, [&](std::int64_t, std::int64_t at, std::int64_t n, std::int64_t chunk) {
      parts[chunk] = simd.sums(frames + at, n);
    });
    for (std::int64_t i = 0; i < shape.frames * per_frame; ++i) {
      sums[i / per_frame].all += parts[i].all;
      sums[i / per_frame].positive += parts[i].positive;
    }
    const std::vector<float> factors = factors_of(sums.data(), target, shape.frames);
    for_chunks(shape, threads, [&](std::int64_t frame, std::int64_t at, std::int64_t n, std::int64_t chunk) {
      parts[chunk].all = simd.scale(frames + at, n, factors[frame], out + at);
    });
    for (std::int64_t i = 0; i < shape.frames; ++i) {
      totals.before[i] = sums[i].all;
      totals.after[i] = 0;
      for (std::int64_t k = 0; k < per_frame; ++k) totals.after[i] += parts[i * per_frame + k].all;
    }
  }

 private:
  // Calls body(frame, first pixel in the stack, pixels, number of the chunk).
  template <class Body>
  static void for_chunks(Shape shape, int threads, Body&& body) {
    const std::int64_t per_frame = pieces(shape.pixels(), kChunk);
    parallel_for(shape.frames * per_frame, shape.size(), threads, [&](std::int64_t i) {
      const std::int64_t frame = i / per_frame, begin = i % per_frame * kChunk;
      body(frame, frame * shape.pixels() + begin, std::min(kChunk, shape.pixels() - begin), i);
    });
  }

  static std::size_t bytes_of_row(std::int64_t columns) { return static_cast<std::size_t>(columns) * sizeof(float); }

  // Scratch is kept for the life of the thread: allocating it for each frame costs more than the work at 64 x 64.
  static float* floats_for(std::int64_t n) {
    thread_local std::vector<float> memory;
    if (memory.size() < static_cast<std::size_t>(n)) memory.resize(static_cast<std::size_t>(n));
    return memory.data();
  }

  static void resize_row(const float* in, std::int64_t n, float* out, std::int64_t wanted) {
    const std::int64_t period = n > 1 ? 2 * (n - 1) : 1, mirrored = std::min(wanted, period);
    std::memcpy(out, in, static_cast<std::size_t>(std::min(n, wanted)) * sizeof(float));
    for (std::int64_t column = n; column < mirrored; ++column) out[column] = in[period - column];
    for (std::int64_t column = std::max(n, period); column < wanted; ++column) out[column] = out[column - period];
  }

  static StripScratch scratch_for(std::int64_t columns) {
    thread_local std::vector<std::int32_t> memory;
    const std::size_t n = static_cast<std::size_t>(kStripRows * columns);
    if (memory.size() < 4 * n) memory.resize(4 * n);
    std::int32_t* start = memory.data();
    return {{start, start + n}, {start + 2 * n, start + 3 * n}};
  }

  // The winners of the strips meet from top to bottom; the last rest is rounded to the nearest.
  static void settle(const Player* roots, std::int64_t strips, StoredFrame out) {
    with_type(out.type, [&](auto zero) {
      using T = decltype(zero);
      T* pixels = static_cast<T*>(out.pixels);
      Player last = roots[0];
      for (std::int64_t strip = 1; strip < strips; ++strip) {
        const Match match = play(last, roots[strip]);
        pixels[match.out] = static_cast<T>(pixels[match.out] + match.up);
        last = match.winner;
      }
      pixels[last.pixel] = static_cast<T>(pixels[last.pixel] + (last.rest >> (kRestBits - 1)));
    });
  }
};

const Loops& choose_loops() {
#ifdef PHOTOPEAK_X86_LOOPS
  const char* wish = std::getenv("PHOTOPEAK_SIMD");
  const std::string most = wish ? wish : "avx512";
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512cd");
  if (avx512 && most == "avx512") return loops_avx512;
  if (avx2 && most != "baseline") return loops_avx2;
#endif
  return loops_baseline;
}

}  // namespace

const Loops& loops() {
  static const Loops& chosen = choose_loops();
  return chosen;
}

const FrameOperations& cpu_operations() {
  static const CpuOperations operations;
  return operations;
}

}  // namespace photopeak
