// The CPU twin of frame_operations_gpu.cu: OpenMP around the loops of frame_loops.cpp.
//
// Work is cut into pieces that do not depend on the number of threads, so results do not either.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "frame_loops.hpp"
#include "frame_stored.hpp"

namespace photopeak {
namespace {

constexpr std::int64_t kChunk = 1 << 15;  // pixels in a piece of work: large enough to hide the cost of a thread

// Calls body(0) ... body(count - 1), which must not throw.
template <class Body>
void parallel_for(std::int64_t count, int threads, Body&& body) {
#ifdef _OPENMP
  if (threads > 1 && count > 1) {
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (std::int64_t i = 0; i < count; ++i) body(i);
    return;
  }
#endif
  static_cast<void>(threads);
  for (std::int64_t i = 0; i < count; ++i) body(i);
}

std::int64_t pieces(std::int64_t n, std::int64_t size) { return (n + size - 1) / size; }

class CpuOperations final : public FrameOperations {
 public:
  void to_float(const void* stored, Stored type, Shape shape, const Rescale* rescale, float* out,
                int threads) const override {
    const Loops& simd = loops();
    const std::int64_t per_frame = pieces(shape.pixels(), kChunk), bytes = bytes_of(type);
    parallel_for(shape.frames * per_frame, threads, [&](std::int64_t i) {
      const std::int64_t frame = i / per_frame, begin = i % per_frame * kChunk;
      const std::int64_t at = frame * shape.pixels() + begin, n = std::min(kChunk, shape.pixels() - begin);
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
    parallel_for(shape.frames * strips, threads, [&](std::int64_t i) {
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
    parallel_for(to.frames * per_frame, threads, [&](std::int64_t i) {
      const std::int64_t frame = i / per_frame, first = i % per_frame * rows_per_piece;
      for (std::int64_t row = first; row < std::min(to.rows, first + rows_per_piece); ++row)
        resize_row(frames + (frame * from.rows + reflected(row, from.rows)) * from.columns, from.columns,
                   out + (frame * to.rows + row) * to.columns, to.columns);
    });
  }

 private:
  static void resize_row(const float* in, std::int64_t n, float* out, std::int64_t wanted) {
    std::memcpy(out, in, static_cast<std::size_t>(std::min(n, wanted)) * sizeof(float));
    for (std::int64_t column = n; column < wanted; ++column) out[column] = in[reflected(column, n)];
  }

  // Kept for the life of the thread: allocating it anew for each frame costs more than the work at 64 x 64.
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
