#include "curve_model.hpp"

#include <algorithm>
#include <cmath>

#include "curve_spline.hpp"

namespace photopeak::curve {

Vec spline_at(const Points& controls, double t, Vec* derivative) {
  const int span = std::clamp(static_cast<int>(t), 0, spans(controls) - 1);
  const Sample s = sample(controls, span, basis(t - span));
  if (derivative) *derivative = s.along;
  return s.at;
}

Points spline_points(const Points& controls, int samples) {
  Points points;
  const int count = spans(controls) * samples;
  for (int i = 0; i <= count; ++i) points.push_back(spline_at(controls, static_cast<double>(i) / samples));
  return points;
}

PHOTOPEAK_CLONES void Model::add(const Points& controls, int first, int last, float weight, float* image) const {
  const double inverse = 1 / kernel_step;
  for (int span = first; span < last; ++span)
    for (int i = 0; i < samples; ++i) {
      const Sample s = sample(controls, span, basis((i + 0.5) / samples));
      const float amount = static_cast<float>(weight * attenuation * norm(s.along) / samples);
      for (const View& view : views) {
        const Seen seen = project(view, s.at);
        const Box b = box(view, seen, support);
        for (int r = b.top; r <= b.bottom; ++r) {
          const double dr2 = (r - seen.row) * (r - seen.row);
          float* line = image + view.offset + r * view.columns;
          for (int c = b.left; c <= b.right; ++c) {
            const double d = (dr2 + (c - seen.column) * (c - seen.column)) * inverse;
            const int cell = static_cast<int>(d);
            if (cell + 1 >= static_cast<int>(kernel.size())) continue;
            const float part = static_cast<float>(d - cell);
            line[c] += amount * (kernel[cell] + part * (kernel[cell + 1] - kernel[cell]));
          }
        }
      }
    }
}

double Model::pixel_loss(float residual, float variance, const Loss& loss) const {
  return rho(residual / std::sqrt(variance + loss.tolerance * loss.tolerance), loss.reach, nullptr);
}

double Model::image_loss(const float* image, const Loss& loss) const {
  double sum = 0;
  for (int p = 0; p < pixels(); ++p) sum += pixel_loss(measured[p] - image[p], variance[p], loss);
  return sum;
}

double Model::prior(const Points& controls, int low, int high, const Loss& loss) const {
  const int n = static_cast<int>(controls.size());
  double sum = 0;
  for (int i = std::max(low, 1); i <= std::min(high, n - 1); ++i) {
    Vec d;
    for (int k = 0; k < 3; ++k) d[k] = controls[i][k] - controls[i - 1][k];
    const double off = (norm(d) - loss.spacing) / (0.06 * loss.spacing);
    sum += 0.5 * off * off;
  }
  for (int i = std::max(low - 1, 1); i <= std::min(high, n - 2); ++i)
    for (int k = 0; k < 3; ++k) {
      const double v = (controls[i - 1][k] - 2 * controls[i][k] + controls[i + 1][k]) / loss.bend;
      sum += 0.5 * v * v;
    }
  for (int i = std::max(low - 3, 0); i <= std::min(high - 1, n - 4); ++i)
    for (int k = 0; k < 3; ++k) {
      const double v =
          (controls[i + 3][k] - 3 * controls[i + 2][k] + 3 * controls[i + 1][k] - controls[i][k]) / loss.twist;
      sum += 0.5 * v * v;
    }
  for (int i = low; i < high; ++i) {
    Vec d;
    for (int k = 0; k < 3; ++k) d[k] = controls[i][k] - sac_center[k];
    const double out = (norm(d) - sac_radius) / 0.1;
    if (out > 0) sum += 0.5 * out * out;
  }
  return sum;
}

}  // namespace photopeak::curve
