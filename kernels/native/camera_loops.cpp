// Compiled several times, with PHOTOPEAK_LOOPS naming the table to fill. Uses nothing of the standard library: an
// inline function compiled for AVX-512 here could replace the portable copy that the linker finds elsewhere.
#include "camera_loops.hpp"

#include "projection_vectors.hpp"

namespace photopeak {
namespace {

// Lines begin after the zeros of the line before, so that taps need no test for the ends.
PHOTOPEAK_INLINE void blur_line(const float* from, const float* weights, std::int64_t size, float* to) {
  for (std::int64_t i = 0; i < size; i += kLanes) {
    Floats sum = weights[0] * load<Floats>(from + i);
    for (int k = 1; k <= kReach; ++k) sum += weights[k] * (load<Floats>(from + i - k) + load<Floats>(from + i + k));
    store(to + i, sum);
  }
}

// Lines are blurred along z into a ring, from which the blur across is taken.
void blur(const CameraPlane& plane, const Blur& blur, float* scratch) {
  constexpr int kRing = 2 * kReach + 1;
  float* ring[kRing];
  for (int i = 0; i < kRing; ++i) ring[i] = scratch + i * plane.pitch;
  for (std::int64_t i = 0; i < kReach * plane.pitch; ++i) scratch[i] = 0.0f;
  for (int i = 0; i < kReach; ++i) blur_line(plane.values + i * plane.pitch, blur.along, plane.size, ring[kReach + i]);
  for (std::int64_t line = 0; line < plane.lines; ++line) {
    float* const out = plane.values + line * plane.pitch;
    blur_line(out + kReach * plane.pitch, blur.along, plane.size, ring[kRing - 1]);
    for (std::int64_t i = 0; i < plane.size; i += kLanes) {
      Floats sum = blur.across[0] * load<Floats>(ring[kReach] + i);
      for (int k = 1; k <= kReach; ++k)
        sum += blur.across[k] * (load<Floats>(ring[kReach - k] + i) + load<Floats>(ring[kReach + k] + i));
      store(out + i, sum);
    }
    for (std::int64_t i = plane.size; i < plane.pitch; ++i) out[i] = 0.0f;
    float* const first = ring[0];
    for (int i = 0; i + 1 < kRing; ++i) ring[i] = ring[i + 1];
    ring[kRing - 1] = first;
  }
}

// Calls body(element of the plane, of the volume, weights, what is left of each element) for each line inside.
template <class Body>
PHOTOPEAK_INLINE void each_line(const CameraPlane& plane, const CameraDepth& depth, Body body) {
  for (std::int64_t line = 0; line < plane.lines; ++line) {
    const FrameLine& place = depth.lines[line];
    if (place.place < 0) continue;
    body(plane.values + line * plane.pitch, place, depth.left ? depth.left + line * plane.pitch : nullptr);
  }
}

PHOTOPEAK_INLINE Floats left_at(const float* left, std::int64_t i, float factor) {
  return left ? factor * load<Floats>(left + i) : Floats{} + factor;
}

void add(const CameraPlane& plane, const CameraDepth& depth, const float* volume) {
  each_line(plane, depth, [&](float* to, const FrameLine& place, const float* left) {
    const float* const from = volume + place.place;
    for (std::int64_t i = 0; i < plane.size; i += kLanes) {
      Floats value = load<Floats>(from + i);
      if (!depth.exact)
        value = place.weight[0] * value + place.weight[1] * load<Floats>(from + depth.narrow + i) +
                place.weight[2] * load<Floats>(from + depth.wide + i) +
                place.weight[3] * load<Floats>(from + depth.wide + depth.narrow + i);
      store(to + i, load<Floats>(to + i) + left_at(left, i, depth.factor) * value);
    }
  });
}

void give(const CameraPlane& plane, const CameraDepth& depth, float* volume) {
  each_line(plane, depth, [&](float* from, const FrameLine& place, const float* left) {
    float* const to = volume + place.place;
    for (std::int64_t i = 0; i < plane.size; i += kLanes) {
      const Floats value = left_at(left, i, depth.factor) * load<Floats>(from + i);
      if (depth.exact) {
        store(to + i, value);
        continue;
      }
      const std::int64_t steps[4] = {0, depth.narrow, depth.wide, depth.wide + depth.narrow};
      for (int k = 0; k < 4; ++k) {
        float* const at = to + steps[k] + i;
        store(at, load<Floats>(at) + place.weight[k] * value);
      }
    }
  });
}

}  // namespace

extern const CameraLoops PHOTOPEAK_LOOPS;
const CameraLoops PHOTOPEAK_LOOPS{blur, add, give};

}  // namespace photopeak
