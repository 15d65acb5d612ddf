// The CPU twin of frame_operations_gpu.cu: OpenMP around the loops of frame_loops.cpp.
//
// Work is cut into pieces that do not depend on the number of threads, so results do not either.
#include <algorithm>
#include <vector>

#include "frame_finishing.hpp"
#include "frame_loops.hpp"
#include "frame_parallel.hpp"
#include "frame_quantiles.hpp"
#include "frame_results.hpp"
#include "processor.hpp"

namespace photopeak {
namespace {

class CpuOperations final : public FrameOperations {
 public:
  void stage(const void* pixels, Stored type, Shape shape, const Layout& layout, const Staging& staging, float* tiles,
             int threads) const override {
    const Axis &down = layout.rows, &across = layout.columns;
    const std::int64_t wide = static_cast<std::int64_t>(across.start.size()), count = staging.tiles.count;
    const std::int64_t rows = std::max<std::int64_t>(1, kChunk / across.tile), per_tile = pieces(down.tile, rows);
    const std::int64_t tile_pixels = down.tile * across.tile;
    parallel_for(shape.frames * count * per_tile, shape.frames * count * tile_pixels, threads, [&](std::int64_t i) {
      const std::int64_t made = i / per_tile, frame = made / count, tile = staging.tiles.first + made % count;
      const std::int64_t begin = i % per_tile * rows, end = std::min(down.tile, begin + rows);
      const StageJob job{static_cast<const char*>(pixels) + frame * shape.pixels() * bytes_of(type), type,
                         staging.rescale[frame], staging.contrast[frame], &layout};
      stage_rows(job, down.start[tile / wide] + begin, end - begin, across.start[tile % wide],
                 tiles + made * tile_pixels + begin * across.tile);
    });
  }

  void finish(const float* tiles, const Layout& layout, const Finishing& finishing, Shape shape, float* out,
              Totals totals, int threads) const override {
    // One frame after the other, while it is in the caches; several threads share either the frames or the rows.
    const bool share_frames = shape.frames > 1;
    const std::int64_t tile_pixels = layout.scale * layout.scale * layout.rows.tile * layout.columns.tile;
    parallel_for(shape.frames, shape.size(), share_frames ? threads : 1, [&](std::int64_t frame) {
      finish_frame({tiles + frame * layout.tiles() * tile_pixels, &layout, shape}, finishing, frame,
                   out + frame * shape.pixels(), totals, share_frames ? 1 : threads);
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
        Player* const players = scratch_for<Player>(block_count(shape.columns));
        misfit[i] = !simd.round_strip(job, row, rows, players, target, &roots[i]);
      } else {
        misfit[i] = !simd.round_plain(job, row * shape.columns, (row + rows) * shape.columns, target);
      }
    });
    if (std::find(misfit.begin(), misfit.end(), 1) != misfit.end()) report_misfit(frames, shape, rescale, type);
    if (!keep_sum) return;
    for (std::int64_t frame = 0; frame < shape.frames; ++frame)
      settle(&roots[frame * strips], strips, {static_cast<char*>(out) + frame * shape.pixels() * bytes, type});
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

  void statistics(const float* frames, Shape shape, FrameStatistics* out, int threads) const override {
    const Loops& simd = loops();
    const std::int64_t bands = pieces(shape.rows, kBandRows);
    std::vector<Moments> moments(static_cast<std::size_t>(shape.frames * bands));
    parallel_for(shape.frames * bands, shape.size(), threads, [&](std::int64_t i) {
      const std::int64_t begin = i % bands * kBandRows, end = std::min(shape.rows, begin + kBandRows);
      moments[i] = simd.moments(frames + i / bands * shape.pixels(), shape.columns, begin, end,
                                scratch_for<float>(4 * shape.columns));
    });
    for (std::int64_t frame = 0; frame < shape.frames; ++frame)
      out[frame] = statistics_of(&moments[frame * bands], bands, shape);
  }

 private:
  struct StageJob {
    const char* pixels;  // of one frame
    Stored type;
    Rescale rescale;
    Contrast contrast;
    const Layout* layout;
  };

  // Stages so many rows of a tile, from this row and column of the frame and its mirror images on.
  static void stage_rows(const StageJob& job, std::int64_t top, std::int64_t rows, std::int64_t left, float* out) {
    const Axis &down = job.layout->rows, &across = job.layout->columns;
    const std::int64_t row_bytes = across.length * bytes_of(job.type);
    std::int64_t row = 0;
    if (across.tile == across.length && top < down.length) {  // what follows each other is one run
      row = std::min(rows, down.length - top);
      loops().stage(job.pixels + top * row_bytes, job.type, row * across.tile, job.rescale, job.contrast, out);
    }
    for (; row < rows; ++row)
      stage_row(job, job.pixels + reflected(top + row, down.length) * row_bytes, left, out + row * across.tile);
  }

  // A row is made of runs that go forward, and of runs of the mirror image.
  static void stage_row(const StageJob& job, const char* row, std::int64_t left, float* out) {
    const std::int64_t n = job.layout->columns.length, width = job.layout->columns.tile;
    const std::int64_t period = n > 1 ? 2 * (n - 1) : 1;
    for (std::int64_t done = 0; done < width;) {
      const std::int64_t phase = (left + done) % period;
      const bool forward = phase < n;
      const std::int64_t run = std::min(width - done, forward ? n - phase : period - phase);
      const std::int64_t first = forward ? phase : period - phase - run + 1;
      loops().stage(row + first * bytes_of(job.type), job.type, run, job.rescale, job.contrast, out + done);
      if (!forward) loops().reverse(out + done, run);
      done += run;
    }
  }

  // Scratch is kept for the life of the thread: allocating it for each frame costs more than the work at 64 x 64.
  template <class T>
  static T* scratch_for(std::int64_t n) {
    thread_local std::vector<T> memory;
    if (memory.size() < static_cast<std::size_t>(n)) memory.resize(static_cast<std::size_t>(n));
    return memory.data();
  }

  // The winners of the strips meet from top to bottom; the last rest is rounded to the nearest.
  static void settle(const Player* roots, std::int64_t strips, StoredFrame out) {
    with_integer(out.type, [&](auto zero) {
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
  switch (choose_simd()) {
    case Simd::avx512: return loops_avx512;
    case Simd::avx2: return loops_avx2;
    case Simd::baseline: break;
  }
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
