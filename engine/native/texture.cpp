// One pass over a frame for the finest octave and the second differences, and passes over ever smaller images after it.
#include "texture.hpp"

#include <algorithm>
#include <vector>

#include "frame_parallel.hpp"
#include "processor.hpp"
#include "texture_loops.hpp"

namespace photopeak {
namespace {

using Row = std::vector<float>;

// Transforms pairs of rows into half a row of means, and adds the details to the sums of an octave.
class Haar {
 public:
  explicit Haar(std::int64_t columns) : half_(columns / 2), scratch_(4 * half_) {}

  void pair(const float* upper, const float* lower, float* mean, int octave, Texture& sums) {
    const Details found = texture_loops().haar(upper, lower, half_, mean, scratch_.data());
    sums.detail[octave] += found.single;
    sums.diagonal[octave] += found.diagonal;
    sums.blocks[octave] += static_cast<double>(half_);
  }

 private:
  std::int64_t half_;
  Row scratch_;
};

// The last rows of something, by the number of the row.
class Recent {
 public:
  explicit Recent(std::int64_t columns) : rows_(kReach, Row(columns)) {}
  float* of(std::int64_t row) { return rows_[row % kReach].data(); }

 private:
  static constexpr std::int64_t kReach = 5;
  std::vector<Row> rows_;
};

constexpr double kFewestCounts = 32.0;      // in a block that says something
constexpr double kPoissonCurvature = 36.0;  // the sum of the squares of the weights of both second differences

// Writes the variance over the mean that the blocks tell, at the quantiles; that of all of them where each has few
// counts.
void write_dispersion(const std::vector<Block>& blocks, double* out) {
  std::vector<double> found;
  Block all;
  for (const Block& block : blocks) {
    all.curvature += block.curvature;
    all.level += block.level;
    if (block.level >= kFewestCounts) found.push_back(block.curvature / block.level / kPoissonCurvature);
  }
  if (found.empty()) found.push_back(all.level > 0.0 ? all.curvature / all.level / kPoissonCurvature : 1.0);
  for (int i = 0; i < kQuantiles; ++i) {
    const auto place = found.begin() + static_cast<std::int64_t>(kDispersionAt[i] * static_cast<double>(found.size()));
    std::nth_element(found.begin(), place, found.end());
    out[i] = *place;
  }
}

// Goes down a frame row by row.
class Descent {
 public:
  Descent(Shape shape, Texture& sums, Profiles profiles)
      : columns_(shape.columns),
        rows_(shape.rows),
        kept_(columns_),
        bent_(columns_),
        z_(columns_),
        haar_(columns_),
        sums_(sums),
        profiles_(profiles),
        means_((shape.rows / 2) * (shape.columns / 2)),
        band_(static_cast<std::size_t>(std::max<std::int64_t>(shape.columns - 2, 0) / kBlock)) {}

  void row(const float* pixels, std::int64_t row) {
    float *const kept = kept_.of(row), *const z = z_.of(row);
    loops_.roots(pixels, columns_, kept, z);
    loops_.along(kept, z, columns_, bent_.of(row), profiles_.columns, profiles_.columns + columns_);
    if (row > 1) dispersion(row);
    if (row > 3) profile(row);
    if (row % 2 == 1) haar_.pair(z_.of(row - 1), z, means_.data() + row / 2 * (columns_ / 2), 0, sums_);
  }

  void finish() {
    write_dispersion(blocks_, sums_.dispersion);
    coarser();
  }

 private:
  // Goes on with the means, in place.
  void coarser() {
    std::int64_t rows = rows_ / 2, columns = columns_ / 2;
    for (int octave = 1; octave < kOctaves; ++octave) {
      Haar haar(columns);
      for (std::int64_t r = 0; r + 1 < rows; r += 2)
        haar.pair(&means_[r * columns], &means_[(r + 1) * columns], &means_[r / 2 * (columns / 2)], octave, sums_);
      rows /= 2;
      columns /= 2;
    }
  }

  // The middle row is the last but one.
  void dispersion(std::int64_t row) {
    const float* const bent[] = {bent_.of(row - 2) + 1, bent_.of(row - 1) + 1, bent_.of(row) + 1};
    loops_.curvature(bent, kept_.of(row - 1) + 1, static_cast<std::int64_t>(band_.size()), band_.data());
    if ((row - 1) % kBlock != 0) return;
    for (Block& block : band_) {
      blocks_.push_back(block);
      block = Block{};
    }
  }

  // The middle row is the last but two.
  void profile(std::int64_t row) {
    const float* const z[] = {z_.of(row - 4), z_.of(row - 3), z_.of(row - 2), z_.of(row - 1), z_.of(row)};
    const Bends found = loops_.across(z, columns_);
    profiles_.rows[row - 2] = static_cast<float>(found.third);
    profiles_.rows[rows_ + row - 2] = static_cast<float>(found.fourth);
  }

  const TextureLoops& loops_ = texture_loops();
  std::int64_t columns_, rows_;
  Recent kept_, bent_, z_;
  Haar haar_;
  Texture& sums_;
  Profiles profiles_;
  Row means_;
  std::vector<Block> band_, blocks_;
};

void texture_of(const float* frame, Shape shape, Texture& sums, Profiles profiles) {
  sums = Texture{};
  std::fill_n(profiles.columns, 2 * shape.columns, 0.0f);
  std::fill_n(profiles.rows, 2 * shape.rows, 0.0f);
  Descent descent(shape, sums, profiles);
  for (std::int64_t row = 0; row < shape.rows; ++row) descent.row(frame + row * shape.columns, row);
  descent.finish();
}

const TextureLoops& choose_texture_loops() {
#ifdef PHOTOPEAK_X86_LOOPS
  switch (choose_simd()) {
    case Simd::avx512: return texture_loops_avx512;
    case Simd::avx2: return texture_loops_avx2;
    case Simd::baseline: break;
  }
#endif
  return texture_loops_baseline;
}

}  // namespace

const TextureLoops& texture_loops() {
  static const TextureLoops& chosen = choose_texture_loops();
  return chosen;
}

void texture(const float* frames, Shape shape, Texture* out, Profiles profiles, int threads) {
  parallel_for(shape.frames, shape.size(), threads, [&](std::int64_t i) {
    texture_of(frames + i * shape.pixels(), shape, out[i],
               {profiles.columns + 2 * i * shape.columns, profiles.rows + 2 * i * shape.rows});
  });
}

}  // namespace photopeak
