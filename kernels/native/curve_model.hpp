// What two or more cone-beam views see of a wire: a cubic B-spline swept by discs, which the image adds up.
//
// A straight tube's thickness at distance u from its axis is 2 sqrt(r^2 - u^2) / sin(angle to the ray), which is the
// sum over arc length of discs of radius r in the image. So the image of a curve is the integral of one kernel (disc x
// pixel x blur).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace photopeak::curve {

using Vec = std::array<double, 3>;
using Points = std::vector<Vec>;

struct View {
  double projection[3][4];  // to (row, column, 1) x depth
  int rows, columns;
  int offset;  // of its first pixel among those of all views
};

// How far measured values are believed, and what shapes are expected.
struct Loss {
  double tolerance = 0.05;  // standard deviation of the model's own error [line integral]
  double reach = 0.0;       // > 0: what is still unexplained costs at most about this (a partial curve); 0: Huber
  double spacing = 0.8;     // of control points [mm]
  double bend = 0.3;        // standard deviation of second differences [mm]
  double twist = 0.2;       // of third differences [mm]
};

class Model {
 public:
  std::vector<View> views;
  std::vector<float> measured, variance;  // all views, one after the other
  std::vector<float> kernel, slope;       // over squared distance [pixel^2], and its derivative
  double kernel_step = 0, support = 0;    // [pixel^2], [pixel]
  double attenuation = 1;                 // [1/mm]
  double sac_center[3] = {0, 0, 0}, sac_radius = 3;
  int samples = 8;  // of each span between control points

  int pixels() const { return static_cast<int>(measured.size()); }
  // Adds weight times the image of spans first ... last - 1 of a spline to `image`.
  void add(const Points& controls, int first, int last, float weight, float* image) const;
  double pixel_loss(float residual, float variance, const Loss& loss) const;
  double image_loss(const float* image, const Loss& loss) const;
  double prior(const Points& controls, int low, int high, const Loss& loss) const;
};

inline int spans(const Points& controls) { return static_cast<int>(controls.size()) - 3; }
Vec spline_at(const Points& controls, double t, Vec* derivative = nullptr);  // t in spans
Points spline_points(const Points& controls, int samples);

// Levenberg-Marquardt over some control points; one for each thread, as it keeps its memory.
class Fitter {
 public:
  explicit Fitter(const Model& model) : model_(model) {}
  // Moves controls low ... high - 1; `image` is that of the whole state and follows. Returns the part of the objective
  // that they touch, as evaluate() does.
  double fit(Points& controls, int low, int high, float* image, const Loss& loss, int iterations);
  // The part of the objective that some control points touch, relative to an image without their spans.
  double evaluate(const Points& controls, int low, int high, const float* image, const Loss& loss);
  // The change that the last spans make to the loss of an image that does not hold it yet; and all spans.
  double evaluate_new(const Points& controls, int count, const float* image, const Loss& loss);
  double evaluate_spans(const Points& controls, const float* image, const Loss& loss);
  // Inverse of the normal matrix's diagonal blocks after fit over all controls: variances of the control points.
  std::vector<double> covariance(const Points& controls, const float* image, const Loss& loss);

 private:
  double linearise(const Points& controls, int low, int high, const float* base, const Loss& loss, bool derivatives);
  void draw(const Points& controls, int span, double t, int low, int high, bool derivatives);
  double assemble(const float* base, const Loss& loss, std::size_t width, bool derivatives);
  void add_dense(const float* row, std::size_t width, float weight, double residual);
  void add_sparse(const float* row, std::size_t width, const std::uint64_t* touched, double weight, double residual);
  void add_prior(const Points& controls, int low, int high, const Loss& loss);
  bool solve(double damping, std::vector<double>& step);

  static constexpr std::size_t kDense = 24;  // unknowns, up to which the normal matrix is added up whole

  const Model& model_;
  std::size_t stride_ = 0, words_ = 0;
  float dense_[kDense * kDense];
  std::vector<float> local_, jacobian_;
  std::vector<int> active_, list_;
  std::vector<std::uint32_t> stamp_;
  std::uint32_t now_ = 0;
  std::vector<std::uint64_t> touched_;
  std::vector<double> normal_, gradient_, factor_;
  std::vector<float> base_;
};

}  // namespace photopeak::curve
