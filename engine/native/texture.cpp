// One pass over a frame for the finest octave and the second differences, and passes over ever smaller images after it.
#include "texture.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "frame_body.hpp"
#include "frame_parallel.hpp"

namespace photopeak {
namespace {

// Partial sums in a fixed order, which a compiler may keep in vector registers.
constexpr std::int64_t kLanes = 16;

struct Lanes {
  float sum[kLanes] = {};
  double total() const {
    double all = 0.0;
    for (const float lane : sum) all += lane;
    return all;
  }
};

// Adds term(0) ... term(n - 1).
template <class Term>
double added(std::int64_t n, Term&& term) {
  Lanes lanes;
  const std::int64_t whole = n / kLanes * kLanes;
  for (std::int64_t i = 0; i < whole; i += kLanes)
    for (std::int64_t lane = 0; lane < kLanes; ++lane) lanes.sum[lane] += term(i + lane);
  for (std::int64_t i = whole; i < n; ++i) lanes.sum[i - whole] += term(i);
  return lanes.total();
}

using Row = std::vector<float>;

double squares(const Row& row, std::int64_t n) {
  return added(n, [&](std::int64_t i) { return row[i] * row[i]; });
}

// Transforms pairs of rows into half a row of means, and adds the details to the sums of an octave.
class Haar {
 public:
  explicit Haar(std::int64_t columns) : half_(columns / 2), across_(half_), down_(half_), both_(half_) {}

  void pair(const float* upper, const float* lower, float* mean, int octave, Texture& sums) {
    for (std::int64_t i = 0; i < half_; ++i) {
      const float a = upper[2 * i], b = upper[2 * i + 1], c = lower[2 * i], d = lower[2 * i + 1];
      mean[i] = 0.5f * ((a + b) + (c + d));
      across_[i] = 0.5f * ((a - b) + (c - d));
      down_[i] = 0.5f * ((a + b) - (c + d));
      both_[i] = 0.5f * ((a - b) - (c - d));
    }
    sums.detail[octave] += squares(across_, half_) + squares(down_, half_);
    sums.diagonal[octave] += squares(both_, half_);
    sums.blocks[octave] += static_cast<double>(half_);
  }

 private:
  std::int64_t half_;
  Row across_, down_, both_;
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

PHOTOPEAK_BODY float second_difference(float before, float here, float after) { return before - 2.0f * here + after; }

PHOTOPEAK_BODY float third_difference(float a, float b, float c, float d) { return (d - a) + 3.0f * (b - c); }

PHOTOPEAK_BODY float fourth_difference(float a, float b, float c, float d, float e) {
  return (a + e) - 4.0f * (b + d) + 6.0f * c;
}

// Curvature and counts of a square of pixels.
struct Block {
  double curvature = 0.0, level = 0.0;
};

constexpr std::int64_t kBlock = 16;
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
    for (std::int64_t i = 0; i < columns_; ++i) {
      const float radicand = anscombe_radicand(pixels[i]);
      kept[i] = radicand - 0.375f;
      z[i] = 2.0f * std::sqrt(radicand);
    }
    along(kept, z, row);
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

  void along(const float* kept, const float* z, std::int64_t row) {
    float* const bent = bent_.of(row);
    for (std::int64_t i = 1; i + 1 < columns_; ++i) bent[i] = second_difference(kept[i - 1], kept[i], kept[i + 1]);
    float *const third = profiles_.columns, *const fourth = profiles_.columns + columns_;
    for (std::int64_t i = 2; i + 2 < columns_; ++i) {
      third[i] += std::fabs(third_difference(z[i - 2], z[i - 1], z[i], z[i + 1]));
      fourth[i] += std::fabs(fourth_difference(z[i - 2], z[i - 1], z[i], z[i + 1], z[i + 2]));
    }
  }

  // The middle row is the last but one.
  void dispersion(std::int64_t row) {
    const float *b0 = bent_.of(row - 2) + 1, *b1 = bent_.of(row - 1) + 1, *b2 = bent_.of(row) + 1;
    const float* kept = kept_.of(row - 1) + 1;
    for (std::size_t block = 0; block < band_.size(); ++block) {
      const std::int64_t from = static_cast<std::int64_t>(block) * kBlock;
      band_[block].curvature += added(kBlock, [&](std::int64_t i) {
        const float both = second_difference(b0[from + i], b1[from + i], b2[from + i]);
        return both * both;
      });
      band_[block].level += added(kBlock, [&](std::int64_t i) { return kept[from + i]; });
    }
    if ((row - 1) % kBlock != 0) return;
    for (Block& block : band_) {
      blocks_.push_back(block);
      block = Block{};
    }
  }

  // The middle row is the last but two.
  void profile(std::int64_t row) {
    const float *a = z_.of(row - 4), *b = z_.of(row - 3), *c = z_.of(row - 2), *d = z_.of(row - 1), *e = z_.of(row);
    profiles_.rows[row - 2] = static_cast<float>(
        added(columns_, [&](std::int64_t i) { return std::fabs(third_difference(a[i], b[i], c[i], d[i])); }));
    profiles_.rows[rows_ + row - 2] = static_cast<float>(
        added(columns_, [&](std::int64_t i) { return std::fabs(fourth_difference(a[i], b[i], c[i], d[i], e[i])); }));
  }

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

}  // namespace

void texture(const float* frames, Shape shape, Texture* out, Profiles profiles, int threads) {
  parallel_for(shape.frames, shape.size(), threads, [&](std::int64_t i) {
    texture_of(frames + i * shape.pixels(), shape, out[i],
               {profiles.columns + 2 * i * shape.columns, profiles.rows + 2 * i * shape.rows});
  });
}

}  // namespace photopeak
