// Checked layouts. The loops rely on them and look no more.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "frame_operations.hpp"

namespace photopeak {

// The tiles that have weight at an enlarged pixel.
inline std::vector<std::int64_t> tiles_at(const Axis& axis, std::int64_t scale, std::int64_t pixel) {
  std::vector<std::int64_t> found;
  for (std::size_t i = 0; i < axis.start.size(); ++i) {
    const std::int64_t inside = pixel - scale * axis.start[i], width = scale * axis.tile;
    if (inside >= 0 && inside < width && axis.weight[i * width + inside] != 0.0f) found.push_back(i);
  }
  return found;
}

inline std::vector<Span> spans_of(const Axis& axis, std::int64_t scale) {
  std::vector<Span> spans;
  for (std::int64_t pixel = 0; pixel < scale * axis.length; ++pixel) {
    std::vector<std::int64_t> tiles = tiles_at(axis, scale, pixel);
    if (tiles.empty()) throw InputError("No tile covers pixel " + std::to_string(pixel) + "; give others or more.");
    const std::int64_t first = tiles[0], inside = pixel - scale * axis.start[first];
    const bool plain = tiles.size() == 1 && axis.weight[first * scale * axis.tile + inside] == 1.0f;
    if (spans.empty() || spans.back().tiles != tiles || spans.back().plain != plain)
      spans.push_back({pixel, pixel, std::move(tiles), plain});
    ++spans.back().end;
  }
  return spans;
}

// An axis whose tiles start inside of the frame and give every pixel of it weight, or InputError.
inline Axis axis_of(std::int64_t length, std::int64_t tile, std::vector<std::int64_t> start, std::vector<float> weight,
                    std::int64_t scale) {
  if (length < 1 || tile < 1 || scale < 1 || start.empty() ||
      weight.size() != start.size() * static_cast<std::size_t>(scale * tile))
    throw InputError("Tiles of " + std::to_string(tile) + " pixels, " + std::to_string(scale) +
                     " times enlarged, need one weight for each of them.");
  for (const std::int64_t first : start)
    if (first < 0 || first >= length)
      throw InputError("A tile at " + std::to_string(first) + " starts outside of the frame, which has " +
                       std::to_string(length) + "; start inside.");
  Axis axis{length, tile, std::move(start), std::move(weight), {}};
  axis.spans = spans_of(axis, scale);
  return axis;
}

}  // namespace photopeak
