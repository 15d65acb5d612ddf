// Levenberg-Marquardt over control points: the derivative of the image is sparse, each pixel sees few of them.
#include <algorithm>
#include <cmath>

#include "curve_model.hpp"
#include "curve_spline.hpp"

namespace photopeak::curve {

double Fitter::linearise(const Points& controls, int low, int high, const float* base, const Loss& loss,
                         bool derivatives) {
  const Model& m = model_;
  const int free = high - low, width = 3 * free, words = (free + 63) / 64;
  const int first = std::max(0, low - 3), last = std::min(spans(controls), high);
  if (static_cast<int>(stamp_.size()) != m.pixels()) stamp_.assign(m.pixels(), 0), now_ = 0;
  local_.resize(m.pixels());
  if (derivatives) {
    if (jacobian_.size() < static_cast<std::size_t>(m.pixels()) * width)
      jacobian_.resize(static_cast<std::size_t>(m.pixels()) * width);
    if (touched_.size() < static_cast<std::size_t>(m.pixels()) * words)
      touched_.resize(static_cast<std::size_t>(m.pixels()) * words);
  }
  ++now_;
  active_.clear();
  const double inverse = 1 / m.kernel_step;
  for (int span = first; span < last; ++span) {
    const int j0 = std::max(0, low - span), j1 = std::min(4, high - span);
    for (int i = 0; i < m.samples; ++i) {
      const Basis bs = basis((i + 0.5) / m.samples);
      const Sample s = sample(controls, span, bs);
      const double speed = norm(s.along) + 1e-9, amount = m.attenuation * speed / m.samples;
      for (const View& view : m.views) {
        const Seen seen = project(view, s.at);
        const Box b = box(view, seen, m.support);
        for (int r = b.top; r <= b.bottom; ++r) {
          const double dr = r - seen.row;
          for (int c = b.left; c <= b.right; ++c) {
            const double dc = c - seen.column, d = (dr * dr + dc * dc) * inverse;
            const int cell = static_cast<int>(d);
            if (cell + 1 >= static_cast<int>(m.kernel.size())) continue;
            const int p = view.offset + r * view.columns + c;
            if (stamp_[p] != now_) {
              stamp_[p] = now_;
              active_.push_back(p);
              local_[p] = 0;
              if (derivatives) {
                std::fill_n(&jacobian_[static_cast<std::size_t>(p) * width], width, 0.f);
                std::fill_n(&touched_[static_cast<std::size_t>(p) * words], words, 0);
              }
            }
            const double part = d - cell;
            const double value = m.kernel[cell] + part * (m.kernel[cell + 1] - m.kernel[cell]);
            local_[p] += static_cast<float>(amount * value);
            if (!derivatives) continue;
            const double steep = -2 * amount * (m.slope[cell] + part * (m.slope[cell + 1] - m.slope[cell]));
            const double per_length = m.attenuation * value / (m.samples * speed);
            float g[3], h[3];
            for (int k = 0; k < 3; ++k) {
              g[k] = static_cast<float>(steep * (dr * seen.by[0][k] + dc * seen.by[1][k]));
              h[k] = static_cast<float>(per_length * s.along[k]);
            }
            for (int j = j0; j < j1; ++j) {
              const int control = span + j - low;
              float* out = &jacobian_[static_cast<std::size_t>(p) * width + 3 * control];
              const float v = static_cast<float>(bs.value[j]), w = static_cast<float>(bs.slope[j]);
              for (int k = 0; k < 3; ++k) out[k] += v * g[k] + w * h[k];
              touched_[static_cast<std::size_t>(p) * words + control / 64] |= std::uint64_t{1} << (control % 64);
            }
          }
        }
      }
    }
  }
  double objective = m.prior(controls, low, high, loss);
  if (derivatives) {
    normal_.assign(static_cast<std::size_t>(width) * width, 0);
    gradient_.assign(width, 0);
  }
  int list[256];
  for (const int p : active_) {
    const double scale = 1 / std::sqrt(m.variance[p] + loss.tolerance * loss.tolerance);
    double weight;
    const double z = (m.measured[p] - base[p] - local_[p]) * scale;
    // The pixel's loss without these spans is what the caller compares with, so that vanishing pixels count too.
    objective += rho(z, loss.reach, &weight) - rho((m.measured[p] - base[p]) * scale, loss.reach, nullptr);
    if (!derivatives || weight < 1e-4) continue;
    const double w = weight * scale * scale, residual = z / scale;
    const float* j = &jacobian_[static_cast<std::size_t>(p) * width];
    int count = 0;
    for (int word = 0; word < words; ++word)
      for (std::uint64_t bits = touched_[static_cast<std::size_t>(p) * words + word]; bits; bits &= bits - 1)
        list[count++] = 64 * word + __builtin_ctzll(bits);
    for (int a = 0; a < count; ++a) {
      const float* ja = j + 3 * list[a];
      for (int k = 0; k < 3; ++k) {
        const double wa = w * ja[k];
        gradient_[3 * list[a] + k] += wa * residual;
        double* line = &normal_[static_cast<std::size_t>(3 * list[a] + k) * width];
        for (int q = 0; q <= a; ++q) {
          const float* jq = j + 3 * list[q];
          double* out = line + 3 * list[q];
          out[0] += wa * jq[0];
          out[1] += wa * jq[1];
          out[2] += wa * jq[2];
        }
      }
    }
  }
  if (derivatives) add_prior(controls, low, high, loss);
  return objective;
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

bool Fitter::solve(double damping, std::vector<double>& step) {
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
  Points trial = controls;
  for (int i = 0; i < iterations; ++i) {
    bool better = false;
    for (int attempt = 0; attempt < 5 && !better; ++attempt) {
      if (solve(damping, step)) {
        double largest = 0;
        for (const double s : step) largest = std::max(largest, std::fabs(s));
        const double limit = std::min(1.0, 0.4 * loss.spacing / largest);  // beyond the wire's radius nothing is linear
        for (int c = low; c < high; ++c)
          for (int k = 0; k < 3; ++k) trial[c][k] = controls[c][k] + limit * step[3 * (c - low) + k];
        if (linearise(trial, low, high, base_.data(), loss, false) < best) better = true;
      }
      if (!better) damping = std::max(damping * 8, 1e-4);
    }
    if (!better) break;
    damping = std::max(damping * 0.25, 1e-6);
    controls = trial;
    const double now = linearise(controls, low, high, base_.data(), loss, true);
    const double gain = best - now;
    best = now;
    if (gain < 1e-3 * std::max(1.0, std::fabs(best)) * 0.01 + 0.05) break;
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
