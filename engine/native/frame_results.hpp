// What both devices share outside of the loops: facts about stored types, reduction of statistics, messages.
#pragma once

#include <cmath>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

#include "frame_loops.hpp"

namespace photopeak {

inline const char* name_of(Stored type) {
  constexpr const char* names[] = {"uint8", "int8", "uint16", "int16", "uint32", "int32", "float32"};
  return names[static_cast<int>(type)];
}

inline std::int64_t bytes_of(Stored type) {
  constexpr std::int64_t bytes[] = {1, 1, 2, 2, 4, 4, 4};
  return bytes[static_cast<int>(type)];
}

inline StoredRange range_of(Stored type) {
  StoredRange range{};
  with_integer(type, [&](auto zero) {
    using Limits = std::numeric_limits<decltype(zero)>;
    const double high = static_cast<double>(Limits::max());
    range = {static_cast<double>(Limits::min()), high, high * std::numeric_limits<float>::epsilon()};
  });
  return range;
}

constexpr std::int64_t kBandRows = 64;  // rows whose moments are taken in one piece

PHOTOPEAK_BODY void add(Moments& to, const Moments& m) {
  to = {to.sum + m.sum,
        to.z + m.z,
        to.zz + m.zz,
        to.difference_1 + m.difference_1,
        to.difference_2 + m.difference_2,
        m.minimum < to.minimum ? m.minimum : to.minimum,
        m.maximum > to.maximum ? m.maximum : to.maximum,
        to.nonzero + m.nonzero,
        to.non_finite + m.non_finite,
        to.fractions + m.fractions};
}

// Adds the bands of a frame from top to bottom, and divides.
inline FrameStatistics statistics_of(const Moments* bands, std::int64_t count, Shape shape) {
  Moments m = bands[0];
  for (std::int64_t band = 1; band < count; ++band) add(m, bands[band]);
  const double n = static_cast<double>(shape.pixels()), mean = m.z / n, variance = m.zz / n - mean * mean;
  const bool none = m.non_finite == shape.pixels();
  const auto mean_square = [&](double sum, std::int64_t lag) {
    const auto pairs = [lag](std::int64_t along, std::int64_t lines) {
      return along > lag ? (along - lag) * lines : 0;
    };
    const std::int64_t count = pairs(shape.columns, shape.rows) + pairs(shape.rows, shape.columns);
    return count ? sum / static_cast<double>(count) : 0.0;
  };
  return {m.sum,
          none ? 0.0 : m.minimum,
          none ? 0.0 : m.maximum,
          m.nonzero,
          m.non_finite,
          static_cast<double>(m.fractions) / n,
          mean,
          variance > 0.0 ? variance : 0.0,
          mean_square(m.difference_1, 1),
          mean_square(m.difference_2, 2)};
}

[[noreturn]] inline void report_non_finite(std::int64_t frame) {
  throw InputError("Frame " + std::to_string(frame) + " has pixels that are not finite; repair them first.");
}

// Adds the pieces of a frame from top to bottom, and in each of them the lanes.
inline Sums sums_of(const std::vector<SumLanes>& pieces) {
  Sums sums{0, 0};
  for (const SumLanes& lanes : pieces) {
    Sums piece{0, 0};
    for (std::int64_t lane = 0; lane < kSumLanes; ++lane) {
      piece.all += lanes.all[lane];
      piece.positive += lanes.positive[lane];
    }
    sums = {sums.all + piece.all, sums.positive + piece.positive};
  }
  return sums;
}

// What the pixels of a frame are multiplied by to keep what they should; whether that is possible is for the caller.
PHOTOPEAK_BODY double exact_factor(Sums sums, Keep keep, double target, double gain) {
  if (keep == Keep::sum) return target == 0.0 ? 0.0 : target / sums.positive;
  return keep == Keep::mean && sums.all > 0.0 && target > 0.0 ? target / sums.all : gain;
}

inline float factor_of(Sums sums, const Finishing& finishing, std::int64_t frame) {
  const double target = finishing.target[frame], gain = finishing.gain[frame];
  const double factor = exact_factor(sums, finishing.keep, target, gain);
  if (!std::isfinite(sums.all)) report_non_finite(frame);
  const bool possible = finishing.keep != Keep::sum || target >= 0.0;
  if (!possible || !std::isfinite(target) || !(std::abs(factor) <= std::numeric_limits<float>::max()))
    throw InputError("Frame " + std::to_string(frame) + ", whose positive pixels sum to " +
                     std::to_string(sums.positive * gain) + ", cannot be scaled to " + std::to_string(target) +
                     "; check the model and the target.");
  return static_cast<float>(factor);
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
