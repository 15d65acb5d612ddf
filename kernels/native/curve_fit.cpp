// Levenberg-Marquardt over control points: the derivative of the image is sparse, each pixel sees few of them.
#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include "curve_model.hpp"
#include "curve_spline.hpp"

namespace photopeak::curve {

double Fitter::linearise(const Points& controls, int low, int high, const float* base, const Loss& loss,
                         bool derivatives) {
  ++now_;
  active_.clear();
  if (static_cast<int>(stamp_.size()) != model_.pixels()) {
    stamp_.assign(model_.pixels(), 0);
    now_ = 1;
  }
  local_.resize(model_.pixels());
  const std::size_t width = 3 * static_cast<std::size_t>(high - low);
  stride_ = (width + 7) / 8 * 8;  // whole vectors
  words_ = (static_cast<std::size_t>(high - low) + 63) / 64;
  if (derivatives) {
    jacobian_.resize(std::max(jacobian_.size(), model_.pixels() * stride_));
    touched_.resize(std::max(touched_.size(), model_.pixels() * words_));
    normal_.assign(width * width, 0);
    gradient_.assign(width, 0);
    list_.resize(64 * words_);
  }
  const int first = std::max(0, low - 3), last = std::min(spans(controls), high);
  for (int span = first; span < last; ++span)
    for (int i = 0; i < model_.samples; ++i) draw(controls, span, (i + 0.5) / model_.samples, low, high, derivatives);
  const double objective = model_.prior(controls, low, high, loss) + assemble(base, loss, width, derivatives);
  if (derivatives) add_prior(controls, low, high, loss);
  return objective;
}

PHOTOPEAK_CLONES void Fitter::draw(const Points& controls, int span, double t, int low, int high, bool derivatives) {
  const Model& m = model_;
  const Basis bs = basis(t);
  const Sample s = sample(controls, span, bs);
  const double speed = norm(s.along) + 1e-9;
  const float amount = static_cast<float>(m.attenuation * speed / m.samples);
  const float per_length = static_cast<float>(m.attenuation / (m.samples * speed));
  const float inverse = static_cast<float>(1 / m.kernel_step), cells = static_cast<float>(m.kernel.size() - 1);
  const int j0 = 3 * std::max(0, low - span), j1 = 3 * std::min(4, high - span);
  for (const View& view : m.views) {
    const Seen seen = project(view, s.at);
    const Box b = box(view, seen, m.support);
    float by_row[12], by_column[12], by_length[12];
    for (int j = 0; derivatives && j < 4; ++j)
      for (int k = 0; k < 3; ++k) {
        by_row[3 * j + k] = static_cast<float>(bs.value[j] * seen.by[0][k]);
        by_column[3 * j + k] = static_cast<float>(bs.value[j] * seen.by[1][k]);
        by_length[3 * j + k] = static_cast<float>(bs.slope[j] * s.along[k]);
      }
    for (int r = b.top; r <= b.bottom; ++r) {
      const float dr = static_cast<float>(r - seen.row);
      for (int c = b.left; c <= b.right; ++c) {
        const float dc = static_cast<float>(c - seen.column), d = (dr * dr + dc * dc) * inverse;
        if (d >= cells) continue;
        const int cell = static_cast<int>(d);
        const std::size_t p = view.offset + r * view.columns + c;
        if (stamp_[p] != now_) {
          stamp_[p] = now_;
          active_.push_back(static_cast<int>(p));
          local_[p] = 0;
          if (derivatives) {
            std::fill_n(&jacobian_[p * stride_], stride_, 0.f);
            std::fill_n(&touched_[p * words_], words_, 0);
          }
        }
        const float part = d - static_cast<float>(cell);
        const float value = m.kernel[cell] + part * (m.kernel[cell + 1] - m.kernel[cell]);
        local_[p] += amount * value;
        if (!derivatives) continue;
        const float steep = -2 * amount * (m.slope[cell] + part * (m.slope[cell + 1] - m.slope[cell]));
        const float row = steep * dr, column = steep * dc, length = per_length * value;
        float* out = &jacobian_[p * stride_] + 3 * (span - low);
        for (int i = j0; i < j1; ++i) out[i] += row * by_row[i] + column * by_column[i] + length * by_length[i];
        for (int i = j0 / 3; i < j1 / 3; ++i) {
          const int control = span + i - low;
          touched_[p * words_ + control / 64] |= std::uint64_t{1} << (control % 64);
        }
      }
    }
  }
}

double Fitter::assemble(const float* base, const Loss& loss, std::size_t width, bool derivatives) {
  const bool dense = width <= kDense;
  if (derivatives && dense) std::fill_n(dense_, width * stride_, 0.f);
  double objective = 0;
  for (const int p : active_) {
    const double scale = 1 / std::sqrt(model_.variance[p] + loss.tolerance * loss.tolerance);
    double weight;
    const double z = (model_.measured[p] - base[p] - local_[p]) * scale;
    // The pixel's loss without these spans is what the caller compares with, so that vanishing pixels count too.
    objective += rho(z, loss.reach, &weight) - rho((model_.measured[p] - base[p]) * scale, loss.reach, nullptr);
    if (!derivatives || weight < 1e-4) continue;
    const float* row = &jacobian_[p * stride_];
    const double w = weight * scale * scale, residual = z / scale;
    if (dense)
      add_dense(row, width, static_cast<float>(w), residual);
    else
      add_sparse(row, width, &touched_[p * words_], w, residual);
  }
  if (derivatives && dense)
    for (std::size_t i = 0; i < width; ++i)
      for (std::size_t j = 0; j <= i; ++j) normal_[i * width + j] = dense_[i * stride_ + j];
  return objective;
}

PHOTOPEAK_CLONES void Fitter::add_dense(const float* row, std::size_t width, float weight, double residual) {
  for (std::size_t i = 0; i < width; ++i) {
    const float scaled = weight * row[i];
    gradient_[i] += scaled * residual;
    float* out = dense_ + i * stride_;
    for (std::size_t j = 0; j < stride_; ++j) out[j] += scaled * row[j];
  }
}

PHOTOPEAK_CLONES void Fitter::add_sparse(const float* row, std::size_t width, const std::uint64_t* touched,
                                         double weight, double residual) {
  int* const list = list_.data();
  int count = 0;
  for (std::size_t word = 0; word < words_; ++word)
    for (std::uint64_t bits = touched[word]; bits; bits &= bits - 1)
      list[count++] = static_cast<int>(64 * word) + __builtin_ctzll(bits);
  for (int a = 0; a < count; ++a)
    for (int k = 0; k < 3; ++k) {
      const std::size_t i = 3 * list[a] + k;
      const double scaled = weight * row[i];
      gradient_[i] += scaled * residual;
      for (int q = 0; q <= a; ++q) {
        double* out = &normal_[i * width + 3 * list[q]];
        for (int l = 0; l < 3; ++l) out[l] += scaled * row[3 * list[q] + l];
      }
    }
}

void Fitter::add_prior(const Points& controls, int low, int high, const Loss& loss) {
  const int n = static_cast<int>(controls.size()), width = 3 * (high - low);
  const auto add = [&](int a, int k, int b, int l, double v) {
    if (a < low || a >= high || b < low || b >= high) return;
    const int i = 3 * (a - low) + k, j = 3 * (b - low) + l;
    if (i >= j) normal_[static_cast<std::size_t>(i) * width + j] += v;
  };
  const auto pull = [&](int a, int k, double v) {
    if (a >= low && a < high) gradient_[3 * (a - low) + k] += v;
  };
  for (int i = std::max(low, 1); i <= std::min(high, n - 1); ++i) {
    Vec d;
    for (int k = 0; k < 3; ++k) d[k] = controls[i][k] - controls[i - 1][k];
    const double length = norm(d) + 1e-9, sigma = 0.06 * loss.spacing, w = 1 / (sigma * sigma);
    for (int k = 0; k < 3; ++k) {
      const double f = w * (length - loss.spacing) * d[k] / length;
      pull(i, k, -f);
      pull(i - 1, k, f);
      for (int l = 0; l < 3; ++l) {
        const double v = w * d[k] * d[l] / (length * length);
        add(i, k, i, l, v);
        add(i - 1, k, i - 1, l, v);
        add(i, k, i - 1, l, -v);
      }
    }
  }
  const auto difference = [&](int start, const double* c, int count, double sigma) {
    const double w = 1 / (sigma * sigma);
    for (int k = 0; k < 3; ++k) {
      double v = 0;
      for (int a = 0; a < count; ++a) v += c[a] * controls[start + a][k];
      for (int a = 0; a < count; ++a) {
        pull(start + a, k, -w * c[a] * v);
        for (int b = 0; b <= a; ++b) add(start + a, k, start + b, k, w * c[a] * c[b]);
      }
    }
  };
  static constexpr double kSecond[3] = {1, -2, 1}, kThird[4] = {-1, 3, -3, 1};
  for (int i = std::max(low - 1, 1); i <= std::min(high, n - 2); ++i) difference(i - 1, kSecond, 3, loss.bend);
  for (int i = std::max(low - 3, 0); i <= std::min(high - 1, n - 4); ++i) difference(i, kThird, 4, loss.twist);
  for (int i = low; i < high; ++i) {
    Vec d;
    for (int k = 0; k < 3; ++k) d[k] = controls[i][k] - model_.sac_center[k];
    const double length = norm(d), out = length - model_.sac_radius;
    if (out <= 0) continue;
    for (int k = 0; k < 3; ++k) {
      pull(i, k, -100 * out * d[k] / length);
      for (int l = 0; l <= k; ++l) add(i, k, i, l, 100 * d[k] * d[l] / (length * length));
    }
  }
}

PHOTOPEAK_CLONES bool Fitter::solve(double damping, std::vector<double>& step) {
  const int n = static_cast<int>(gradient_.size());
  factor_ = normal_;
  for (int i = 0; i < n; ++i) factor_[static_cast<std::size_t>(i) * n + i] *= 1 + damping;
  for (int i = 0; i < n; ++i) {
    double* li = &factor_[static_cast<std::size_t>(i) * n];
    for (int j = 0; j <= i; ++j) {
      const double* lj = &factor_[static_cast<std::size_t>(j) * n];
      double v = li[j];
      for (int k = 0; k < j; ++k) v -= li[k] * lj[k];
      if (i == j) {
        if (v <= 1e-12) return false;
        li[i] = std::sqrt(v);
      } else {
        li[j] = v / lj[j];
      }
    }
  }
  step = gradient_;
  for (int i = 0; i < n; ++i) {
    const double* li = &factor_[static_cast<std::size_t>(i) * n];
    for (int k = 0; k < i; ++k) step[i] -= li[k] * step[k];
    step[i] /= li[i];
  }
  for (int i = n - 1; i >= 0; --i) {
    step[i] /= factor_[static_cast<std::size_t>(i) * n + i];
    for (int k = 0; k < i; ++k) step[k] -= factor_[static_cast<std::size_t>(i) * n + k] * step[i];
  }
  return true;
}

double Fitter::fit(Points& controls, int low, int high, float* image, const Loss& loss, int iterations) {
  const int first = std::max(0, low - 3), last = std::min(spans(controls), high);
  base_.assign(image, image + model_.pixels());
  model_.add(controls, first, last, -1, base_.data());
  double best = linearise(controls, low, high, base_.data(), loss, true);
  double damping = 1e-3;
  std::vector<double> step;
  std::pair<std::vector<double>, std::vector<double>> saved;
  Points trial = controls;
  for (int i = 0; i < iterations; ++i) {
    bool better = false;
    double now = best;
    for (int attempt = 0; attempt < 5 && !better; ++attempt) {
      if (solve(damping, step)) {
        double largest = 0;
        for (const double s : step) largest = std::max(largest, std::fabs(s));
        const double limit = std::min(1.0, 0.4 * loss.spacing / largest);  // beyond the wire's radius nothing is linear
        for (int c = low; c < high; ++c)
          for (int k = 0; k < 3; ++k) trial[c][k] = controls[c][k] + limit * step[3 * (c - low) + k];
        saved = {normal_, gradient_};
        now = linearise(trial, low, high, base_.data(), loss, i + 1 < iterations);
        better = now < best;
        if (!better) std::tie(normal_, gradient_) = saved;
      }
      if (!better) damping = std::max(damping * 8, 1e-4);
    }
    if (!better) break;
    damping = std::max(damping * 0.25, 1e-6);
    controls = trial;
    const double gain = best - now;
    best = now;
    if (gain < 0.05 + 1e-5 * std::fabs(best)) break;
  }
  std::copy(base_.begin(), base_.end(), image);
  model_.add(controls, first, last, 1, image);
  return best;
}

double Fitter::evaluate(const Points& controls, int low, int high, const float* image, const Loss& loss) {
  base_.assign(image, image + model_.pixels());
  model_.add(controls, std::max(0, low - 3), std::min(spans(controls), high), -1, base_.data());
  return linearise(controls, low, high, base_.data(), loss, false);
}

double Fitter::evaluate_new(const Points& controls, int count, const float* image, const Loss& loss) {
  const int n = static_cast<int>(controls.size());
  const Points piece(controls.end() - 3 - count, controls.end());
  return linearise(piece, 0, 3 + count, image, loss, false) - model_.prior(piece, 0, 3 + count, loss) +
         model_.prior(controls, n - count, n, loss);
}

double Fitter::evaluate_spans(const Points& controls, const float* image, const Loss& loss) {
  return linearise(controls, 0, static_cast<int>(controls.size()), image, loss, false);
}

std::vector<double> Fitter::covariance(const Points& controls, const float* image, const Loss& loss) {
  const int n = static_cast<int>(controls.size()), width = 3 * n;
  base_.assign(image, image + model_.pixels());
  model_.add(controls, 0, spans(controls), -1, base_.data());
  linearise(controls, 0, n, base_.data(), loss, true);
  std::vector<double> result(9 * static_cast<std::size_t>(n), 0), step, saved = gradient_;
  for (int i = 0; i < width; ++i) {
    gradient_.assign(width, 0);
    gradient_[i] = 1;
    if (!solve(1e-9, step)) return {};
    for (int l = 0; l < 3; ++l) result[9 * (i / 3) + 3 * (i % 3) + l] = step[3 * (i / 3) + l];
  }
  return result;
}

}  // namespace photopeak::curve
