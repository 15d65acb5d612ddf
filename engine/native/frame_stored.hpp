// Facts about the integer types that DICOM stores, and the message for values that they cannot hold.
#pragma once

#include <cstdio>
#include <limits>
#include <string>

#include "frame_loops.hpp"

namespace photopeak {

inline const char* name_of(Stored type) {
  constexpr const char* names[] = {"uint8", "int8", "uint16", "int16", "uint32", "int32"};
  return names[static_cast<int>(type)];
}

inline std::int64_t bytes_of(Stored type) {
  constexpr std::int64_t bytes[] = {1, 1, 2, 2, 4, 4};
  return bytes[static_cast<int>(type)];
}

inline StoredRange range_of(Stored type) {
  StoredRange range{};
  with_type(type, [&](auto zero) {
    using Limits = std::numeric_limits<decltype(zero)>;
    const double high = static_cast<double>(Limits::max());
    range = {static_cast<double>(Limits::min()), high, high * std::numeric_limits<float>::epsilon()};
  });
  return range;
}

// Names the first pixel that `type` cannot hold.
[[noreturn]] inline void report_misfit(const float* frames, Shape shape, const Rescale* rescale, Stored type) {
  const StoredRange range = range_of(type);
  const auto text = [](double value) {
    char buffer[32];
    std::snprintf(buffer, sizeof buffer, "%.9g", value);
    return std::string(buffer);
  };
  for (std::int64_t i = 0; i < shape.size(); ++i) {
    const std::int64_t frame = i / shape.pixels(), pixel = i % shape.pixels();
    const Rescale r = rescale[frame];
    if (!split_value(frames[i], 1.0 / r.slope, r.intercept, range).misfit) continue;
    throw InputError("Frame " + std::to_string(frame) + ", row " + std::to_string(pixel / shape.columns) + ", column " +
                     std::to_string(pixel % shape.columns) + " is " + text(frames[i]) + ", but " + name_of(type) +
                     " with slope " + text(r.slope) + " and intercept " + text(r.intercept) + " holds " +
                     text(range.low * r.slope + r.intercept) + " to " + text(range.high * r.slope + r.intercept) +
                     "; choose a larger slope or repair the frame.");
  }
  throw InputError("A frame changed while it was being rounded; do not write to it from another thread.");
}

}  // namespace photopeak
