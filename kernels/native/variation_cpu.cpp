// The CPU twin of variation_gpu.cu: OpenMP around the loops of variation_loops.cpp.
//
// Every voxel is computed alike whatever the number of threads, and sums are added slice by slice, so results are the
// same.
#include <algorithm>

#include "parallel.hpp"
#include "processor.hpp"
#include "variation.hpp"
#include "variation_loops.hpp"

namespace photopeak {

extern const VariationLoops variation_loops_baseline;
#ifdef PHOTOPEAK_X86_LOOPS
extern const VariationLoops variation_loops_avx2, variation_loops_avx512;
#endif

namespace {

constexpr std::int64_t kPiece = 1 << 16;  // values in a piece of work without neighbours

const VariationLoops& choose_loops() {
#ifdef PHOTOPEAK_X86_LOOPS
  switch (choose_simd()) {
    case Simd::avx512: return variation_loops_avx512;
    case Simd::avx2: return variation_loops_avx2;
    case Simd::baseline: break;
  }
#endif
  return variation_loops_baseline;
}

const VariationLoops& loops() {
  static const VariationLoops& found = choose_loops();
  return found;
}

class Sweep {
 public:
  Sweep(const Box& box, const Iterates& iterates, const float* slope, const VariationStep& step)
      : box_(box), at_(iterates), slope_(slope), step_(step), zeros_(static_cast<std::size_t>(box.columns), 0.0f) {}

  VariationRow row(std::int64_t slice, std::int64_t line) const {
    const std::int64_t here = slice * box_.plane() + line * box_.columns, size = box_.size();
    const std::int64_t down = line + 1 < box_.rows ? here + box_.columns : here;
    const std::int64_t next = slice + 1 < box_.slices ? here + box_.plane() : here;
    float *const z = at_.flow, *const y = z + size, *const x = y + size;
    return {at_.value + here,
            at_.leading + here,
            at_.leading + down,
            at_.leading + next,
            z + here,
            y + here,
            x + here,
            slice > 0 ? z + here - box_.plane() : zeros_.data(),
            line > 0 ? y + here - box_.columns : zeros_.data(),
            slope_ + here,
            box_.columns};
  }

  // The dual iterate of a slice, and the primal one, row by row; a slice whose predecessor is not yet done waits.
  void slice(std::int64_t number, bool dual, bool primal, Moves* moves) const {
    const VariationLoops& simd = loops();
    for (std::int64_t line = 0; line < box_.rows; ++line) {
      const VariationRow at = row(number, line);
      if (moves) {
        if (dual) moves->dual += simd.dual_moves(at, step_);
        if (primal) moves->primal += simd.primal_moves(at, step_);
      } else {
        if (dual) simd.dual(at, step_);
        if (primal) simd.primal(at, step_);
      }
    }
  }

 private:
  const Box& box_;
  const Iterates& at_;
  const float* slope_;
  const VariationStep& step_;
  std::vector<float> zeros_;
};

}  // namespace

Moves variation_step(const Box& box, const Iterates& iterates, const float* slope, const VariationStep& step,
                     bool moves, std::int64_t threads) {
  const Sweep sweep(box, iterates, slope, step);
  std::vector<Moves> found(static_cast<std::size_t>(box.slices), Moves{0.0, 0.0});
  const std::int64_t slabs = std::max<std::int64_t>(1, std::min(threads, box.slices));
  const auto begin = [&](std::int64_t slab) { return slab * box.slices / slabs; };
  const auto moves_of = [&](std::int64_t slice) { return moves ? &found[static_cast<std::size_t>(slice)] : nullptr; };
  // The first slice of a slab needs the dual iterate of the slab before, which needs the extrapolation that this slice
  // is about to replace: its primal step waits until all dual steps are made.
  parallel_for(slabs, threads, [&](std::int64_t slab) {
    for (std::int64_t slice = begin(slab); slice < begin(slab + 1); ++slice)
      sweep.slice(slice, true, slab == 0 || slice > begin(slab), moves_of(slice));
  });
  parallel_for(slabs - 1, threads,
               [&](std::int64_t slab) { sweep.slice(begin(slab + 1), false, true, moves_of(begin(slab + 1))); });
  Moves total{0.0, 0.0};
  for (const Moves& part : found) {
    total.primal += part.primal;
    total.dual += part.dual;
  }
  return total;
}

Measures measure_variation(const Box& box, const float* value, const float* flow, const float* slope,
                           const float* weight, std::int64_t threads) {
  const std::vector<float> zeros(static_cast<std::size_t>(box.columns), 0.0f);
  std::vector<Measures> found(static_cast<std::size_t>(box.slices), Measures{0.0, 0.0});
  const std::int64_t size = box.size();
  parallel_for(box.slices, threads, [&](std::int64_t slice) {
    Measures& sum = found[static_cast<std::size_t>(slice)];
    for (std::int64_t line = 0; line < box.rows; ++line) {
      const std::int64_t here = slice * box.plane() + line * box.columns;
      const std::int64_t down = line + 1 < box.rows ? here + box.columns : here;
      const std::int64_t next = slice + 1 < box.slices ? here + box.plane() : here;
      const float *const z = flow + here, *const y = z + size, *const x = y + size;
      const MeasuredRow row{value + here,
                            value + down,
                            value + next,
                            z,
                            y,
                            x,
                            slice > 0 ? z - box.plane() : zeros.data(),
                            line > 0 ? y - box.columns : zeros.data(),
                            slope + here,
                            box.columns};
      const RowMeasures part = loops().measure(row, weight);
      sum.variation += part.variation;
      sum.above += part.above;
    }
  });
  Measures total{0.0, 0.0};
  for (const Measures& part : found) {
    total.variation += part.variation;
    total.above += part.above;
  }
  return total;
}

void poisson_step(float* q, const float* mean, const float* counts, const float* inverse, float step, float relaxation,
                  std::int64_t n, std::int64_t threads) {
  parallel_for(pieces(n, kPiece), threads, [&](std::int64_t piece) {
    const std::int64_t at = piece * kPiece, count = std::min(kPiece, n - at);
    loops().poisson(q + at, mean + at, counts + at, inverse + at, step, relaxation, count);
  });
}

void gaussian_step(float* q, const float* mean, const float* measured, const float* variance, const float* inverse,
                   float step, float relaxation, std::int64_t n, std::int64_t threads) {
  parallel_for(pieces(n, kPiece), threads, [&](std::int64_t piece) {
    const std::int64_t at = piece * kPiece, count = std::min(kPiece, n - at);
    loops().gaussian(q + at, mean + at, measured + at, variance + at, inverse + at, step, relaxation, count);
  });
}

void multiply(float* value, const float* ratio, const float* inverse, float upper, std::int64_t n,
              std::int64_t threads) {
  parallel_for(pieces(n, kPiece), threads, [&](std::int64_t piece) {
    const std::int64_t at = piece * kPiece;
    loops().multiply(value + at, ratio + at, inverse + at, upper, std::min(kPiece, n - at));
  });
}

const char* variation_loops_name() { return loops().name; }

}  // namespace photopeak
