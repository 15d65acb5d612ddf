#include "camera_blur.hpp"

#include <algorithm>
#include <cmath>

namespace photopeak {
namespace {

constexpr double kWidest = 0.5;  // variance that one kernel adds [voxels^2]; it resembles a Gaussian up to here
constexpr double kExtent = 6.0;  // standard deviations beyond which a Gaussian is none

using Line = std::vector<double>;  // symmetric, from the middle outwards

double at(const Line& line, std::int64_t i) {
  const auto place = static_cast<std::size_t>(std::abs(i));
  return place < line.size() ? line[place] : 0.0;
}

double product(const Line& a, const Line& b) {
  double sum = a[0] * b[0];
  for (std::size_t i = 1; i < a.size(); ++i) sum += 2 * a[i] * b[i];
  return sum;
}

double variance_of(const Line& line) {
  double sum = 0;
  for (std::size_t i = 1; i < line.size(); ++i) sum += 2 * line[i] * static_cast<double>(i * i);
  return sum;
}

Line second_difference(const Line& line) {
  Line result(line.size());
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(line.size()); ++i)
    result[i] = at(line, i - 1) - 2 * line[i] + at(line, i + 1);
  return result;
}

Line gaussian(double variance, std::size_t size) {
  Line line(size);
  double sum = -1;
  for (std::size_t i = 0; i < size; ++i) {
    line[i] = variance > 0 ? std::exp(-static_cast<double>(i * i) / (2 * variance)) : (i == 0);
    sum += 2 * line[i];
  }
  for (double& value : line) value /= sum;
  return line;
}

}  // namespace

void GrowingGaussian::grow(double variance, float* weights) {
  const auto reach = static_cast<std::size_t>(std::ceil(kExtent * std::sqrt(variance))) + 2 * kReach;
  made_.resize(std::max(made_.size(), reach));
  Line rest = gaussian(variance, made_.size());
  for (std::size_t i = 0; i < rest.size(); ++i) rest[i] -= made_[i];
  // Even differences of what was made are its changes that keep the sum. The second difference alone changes the
  // variance, so its share is given; Gram and Schmidt make the others orthogonal.
  double triangle[kReach][kReach] = {}, share[kReach] = {};
  Line basis[kReach], difference = second_difference(made_);
  share[0] = variance_of(rest) / 2;
  for (std::size_t i = 0; i < rest.size(); ++i) rest[i] -= share[0] * difference[i];
  for (int k = 1; k < kReach; ++k) {
    difference = second_difference(difference);
    basis[k] = difference;
    for (int j = 1; j < k; ++j) {
      triangle[j][k] = product(basis[j], basis[k]);
      for (std::size_t i = 0; i < rest.size(); ++i) basis[k][i] -= triangle[j][k] * basis[j][i];
    }
    triangle[k][k] = std::sqrt(product(basis[k], basis[k]));
    for (double& value : basis[k]) value /= triangle[k][k];
    share[k] = product(basis[k], rest);
    for (std::size_t i = 0; i < rest.size(); ++i) rest[i] -= share[k] * basis[k][i];
  }
  for (int k = kReach - 1; k >= 1; --k) {
    for (int j = k + 1; j < kReach; ++j) share[k] -= triangle[k][j] * share[j];
    share[k] /= triangle[k][k];
  }
  // The kernel is 1 + s0 D + s1 D^2 + s2 D^3, with D the second difference.
  Line kernel(kReach + 1), power(kReach + 1);
  kernel[0] = power[0] = 1;
  for (int k = 0; k < kReach; ++k) {
    power = second_difference(power);
    for (int i = 0; i <= kReach; ++i) kernel[i] += share[k] * power[i];
  }
  Line next(made_.size());
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(next.size()); ++i)
    for (int j = -kReach; j <= kReach; ++j) next[i] += at(kernel, j) * at(made_, i - j);
  made_ = next;
  for (int i = 0; i <= kReach; ++i) weights[i] = static_cast<float>(kernel[i]);
}

std::vector<Blur> BlurSeries::next(double variance) {
  const double more = variance - variance_, finest = std::min(across_mm_, along_mm_);
  if (more <= 0) return {};
  std::vector<Blur> blurs(static_cast<std::size_t>(std::ceil(more / (finest * finest * kWidest))));
  for (std::size_t i = 0; i < blurs.size(); ++i) {
    const double due = variance_ + more * static_cast<double>(i + 1) / static_cast<double>(blurs.size());
    across_.grow(due / (across_mm_ * across_mm_), blurs[i].across);
    along_.grow(due / (along_mm_ * along_mm_), blurs[i].along);
  }
  variance_ = variance;
  return blurs;
}

}  // namespace photopeak
