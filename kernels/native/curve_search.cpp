#include "curve_search.hpp"

#include <algorithm>
#include <cmath>

#include "curve_spline.hpp"

namespace photopeak::curve {
namespace {

constexpr double kPi = 3.14159265358979323846;

Vec minus(const Vec& a, const Vec& b) { return {a[0] - b[0], a[1] - b[1], a[2] - b[2]}; }
Vec unit(const Vec& a) {
  const double n = norm(a) + 1e-12;
  return {a[0] / n, a[1] / n, a[2] / n};
}
Vec cross(const Vec& a, const Vec& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

double distance(const Vec& a, const Vec& b) { return norm(minus(a, b)); }

// The turns that a piece may take: about an axis at right angles to the wire, by so much at each control point.
struct Turn {
  double angle, phase;
};

std::vector<Turn> turns() {
  std::vector<Turn> result{{0, 0}};
  const double angles[3] = {0.2, 0.4, 0.65};
  const int counts[3] = {6, 8, 8};
  for (int ring = 0; ring < 3; ++ring)
    for (int i = 0; i < counts[ring]; ++i) result.push_back({angles[ring], 2 * kPi * (i + 0.5 * ring) / counts[ring]});
  return result;
}

// Appends points on an arc that leaves the last two.
void append_arc(Points& controls, const Turn& turn, int count, double spacing) {
  const int n = static_cast<int>(controls.size());
  Vec u = unit(minus(controls[n - 1], controls[n - 2]));
  const Vec side = unit(cross(u, std::fabs(u[0]) < 0.7 ? Vec{1, 0, 0} : Vec{0, 1, 0})), up = cross(u, side);
  Vec bend;
  for (int k = 0; k < 3; ++k) bend[k] = std::cos(turn.phase) * side[k] + std::sin(turn.phase) * up[k];
  const double c = std::cos(turn.angle), s = std::sin(turn.angle);
  for (int i = 0; i < count; ++i) {
    Vec next, v;
    for (int k = 0; k < 3; ++k) {
      v[k] = c * u[k] + s * bend[k];
      bend[k] = c * bend[k] - s * u[k];
      next[k] = controls.back()[k] + spacing * v[k];
    }
    u = v;
    controls.push_back(next);
  }
}

// Adds children that are longer at the end of the control points.
void extend(const Model& model, Fitter& fitter, const State& state, bool reversed, const Loss& loss,
            const SearchOptions& options, std::vector<State>& out) {
  Points shorter = state.controls;
  if (reversed) std::reverse(shorter.begin(), shorter.end());
  const int n = static_cast<int>(shorter.size()), longer = n + options.stride;
  Loss rough = loss;
  rough.tolerance *= 2;
  std::vector<std::pair<double, Points>> candidates;
  for (const Turn& turn : turns()) {
    Points controls = shorter;
    append_arc(controls, turn, options.stride, loss.spacing);
    const double value = fitter.evaluate_new(controls, options.stride, state.image.data(), rough);
    candidates.emplace_back(value, std::move(controls));
  }
  std::sort(candidates.begin(), candidates.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  const int low = std::max(0, longer - options.window);
  const double old = fitter.evaluate(shorter, low, n, state.image.data(), loss);
  std::vector<std::pair<Vec, Vec>> ends;
  for (int i = 0; i < std::min<int>(options.children, static_cast<int>(candidates.size())); ++i) {
    State child;
    child.controls = std::move(candidates[i].second);
    child.image = state.image;
    model.add(child.controls, n - 3, longer - 3, 1, child.image.data());
    fitter.fit(child.controls, low, longer, child.image.data(), rough, 2);
    const double now = fitter.fit(child.controls, low, longer, child.image.data(), loss, options.iterations);
    child.objective = state.objective + now - old;
    const std::pair<Vec, Vec> tip{child.controls[longer - 1], child.controls[longer - 2]};
    bool same = false;
    for (const auto& end : ends)
      same = same || (distance(end.first, tip.first) < 0.2 * loss.spacing &&
                      distance(end.second, tip.second) < 0.12 * loss.spacing);
    if (same) continue;
    ends.push_back(tip);
    if (reversed) std::reverse(child.controls.begin(), child.controls.end());
    out.push_back(std::move(child));
  }
}

// Extends the end that gains more. What the other would gain is kept for the children: it seldom changes.
void extend_best(const Model& model, Fitter& fitter, State& state, const Loss& loss, const SearchOptions& options,
                 std::vector<State>& out) {
  std::vector<State> ends[2];
  const auto try_end = [&](int end) {
    extend(model, fitter, state, end == 1, loss, options, ends[end]);
    double least = 1e30;
    for (const State& child : ends[end]) least = std::min(least, child.objective);
    state.gain[end] = state.objective - least;
    state.known[end] = true;
  };
  for (int end = 0; end < 2; ++end)
    if (!state.known[end]) try_end(end);
  const int chosen = state.gain[0] >= state.gain[1] ? 0 : 1;
  if (ends[chosen].empty()) try_end(chosen);
  for (State& child : ends[chosen]) {
    child.gain[1 - chosen] = state.gain[1 - chosen];
    child.known[1 - chosen] = true;
    out.push_back(std::move(child));
  }
}

bool alike(const State& a, const State& b, double reach) {
  const auto near = [reach](const Vec& p, const Vec& q) { return distance(p, q) < reach; };
  const auto &p = a.controls, &q = b.controls;
  return (near(p.front(), q.front()) && near(p.back(), q.back())) ||
         (near(p.front(), q.back()) && near(p.back(), q.front()));
}

}  // namespace

std::vector<State> find_seeds(const Model& model, const std::vector<float>& base, const Loss& loss,
                              const SearchOptions& options) {
  std::mt19937_64 random(options.random_seed);
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform;
  Fitter fitter(model);
  const int points = 6, tries = options.seeds * 100;
  Loss rough = loss;
  rough.tolerance *= 2;
  std::vector<std::pair<double, Points>> found;  // value, control points
  for (int i = 0; i < tries; ++i) {
    Vec direction = unit({normal(random), normal(random), normal(random)}),
        center = unit({normal(random), normal(random), normal(random)});
    const double r = model.sac_radius * std::cbrt(uniform(random));
    Points controls(points);
    for (int c = 0; c < points; ++c)
      for (int k = 0; k < 3; ++k)
        controls[c][k] = model.sac_center[k] + r * center[k] + (c - 0.5 * (points - 1)) * loss.spacing * direction[k];
    found.emplace_back(fitter.evaluate_spans(controls, base.data(), rough), controls);
  }
  const int kept = std::min(options.seeds, tries);
  std::partial_sort(found.begin(), found.begin() + kept, found.end(),
                    [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<State> seeds;
  for (int i = 0; i < kept; ++i) {
    State state;
    state.controls = found[i].second;
    state.image = base;
    model.add(state.controls, 0, points - 3, 1, state.image.data());
    fitter.fit(state.controls, 0, points, state.image.data(), rough, 8);
    state.objective = fitter.fit(state.controls, 0, points, state.image.data(), loss, 8);
    seeds.push_back(std::move(state));
  }
  std::sort(seeds.begin(), seeds.end(), [](const State& a, const State& b) { return a.objective < b.objective; });
  std::vector<State> distinct;
  for (State& seed : seeds) {
    bool same = false;
    for (const State& other : distinct)
      same = same || distance(spline_at(seed.controls, 1.5), spline_at(other.controls, 1.5)) < 0.6 * loss.spacing;
    if (!same) distinct.push_back(std::move(seed));
  }
  return distinct;
}

std::vector<State> grow(const Model& model, const State& start, const Loss& loss, const SearchOptions& options,
                        int count) {
  Fitter fitter(model);
  std::vector<State> beam{start}, best{start};
  int worse = 0;
  while (worse < options.patience && static_cast<int>(beam[0].controls.size()) < options.longest) {
    std::vector<State> children;
    for (State& state : beam) extend_best(model, fitter, state, loss, options, children);
    std::sort(children.begin(), children.end(),
              [](const State& a, const State& b) { return a.objective < b.objective; });
    beam.clear();
    for (State& child : children) {
      bool same = false;
      for (const State& other : beam) same = same || alike(child, other, 0.3 * loss.spacing);
      if (same) continue;
      beam.push_back(std::move(child));
      if (static_cast<int>(beam.size()) == options.beam) break;
    }
    worse = beam[0].objective < best[0].objective ? 0 : worse + 1;
    for (int i = 0; i < std::min<int>(count, static_cast<int>(beam.size())); ++i) best.push_back(beam[i]);
    std::sort(best.begin(), best.end(), [](const State& a, const State& b) { return a.objective < b.objective; });
    if (static_cast<int>(best.size()) > count) best.resize(count);
  }
  return best;
}

}  // namespace photopeak::curve
