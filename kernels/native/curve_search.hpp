// Global search: short pieces wherever both views explain them, then growth at either end by beam search.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "curve_model.hpp"

namespace photopeak::curve {

struct State {
  Points controls;
  std::vector<float> image;  // of everything that is known, other wires included
  double objective = 0;      // relative to the image at the start
  double gain[2] = {0, 0};   // of growing at the last and at the first control point
  bool known[2] = {false, false};
};

struct SearchOptions {
  int seeds = 400;        // pieces that are fitted
  int beam = 60;          // states kept at each step
  int children = 5;       // of each state and end that are fitted
  int stride = 2;         // control points that are added at once
  int window = 7;         // control points that are fitted with them
  int iterations = 4;     // of each fit
  int patience = 4;       // steps without a better state
  int longest = 1 << 20;  // [control points]
  std::uint64_t random_seed = 0;
};

std::vector<State> find_seeds(const Model& model, const std::vector<float>& base, const Loss& loss,
                              const SearchOptions& options);
// Grows one state; returns the best that were met, best first.
std::vector<State> grow(const Model& model, const State& start, const Loss& loss, const SearchOptions& options,
                        int count);

}  // namespace photopeak::curve
