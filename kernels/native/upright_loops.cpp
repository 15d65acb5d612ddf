// Compiled several times, with PHOTOPEAK_LOOPS naming the table to fill. Uses nothing of the standard library: an
// inline function compiled for AVX-512 here could replace the portable copy that the linker finds elsewhere.
#include "upright_loops.hpp"

#include "projection_vectors.hpp"

namespace photopeak {
namespace {

constexpr double kBefore = 1;  // places of the margin before voxel 0

// Where the rays of a line are in one plane; places count from voxel 0.
struct Crossing {
  std::int64_t lower;  // line of voxels below a
  float a_share;       // of the next
  float b, spacing;
};

PHOTOPEAK_INLINE Crossing crossing_at(const UprightLine& line, std::int64_t plane) {
  const double k = static_cast<double>(plane), a = line.a + k * line.a_step;
  const std::int64_t lower = a > 0 ? static_cast<std::int64_t>(a) : 0;
  return {lower, static_cast<float>(a - static_cast<double>(lower)),
          static_cast<float>(line.b + k * line.b_step - kBefore),
          static_cast<float>(line.spacing + k * line.spacing_step)};
}

PHOTOPEAK_INLINE Floats counted(std::int64_t first) {
  Floats result;
  for (int lane = 0; lane < kLanes; ++lane) result[lane] = static_cast<float>(lane);
  return result + static_cast<float>(first);
}

// Elements at places that grow from lane to lane: if `narrow`, inside two registers from `first` on.
PHOTOPEAK_INLINE Floats element_at(const float* from, std::int64_t first, Ints place, bool narrow) {
#ifdef __AVX512F__
  const __m512i all = reinterpret_cast<__m512i>(place);
  if (!narrow) return _mm512_i32gather_ps(all, from, 4);
  const float* const at = from + first;
  return _mm512_permutex2var_ps(load<Floats>(at), _mm512_sub_epi32(all, _mm512_set1_epi32(static_cast<int>(first))),
                                load<Floats>(at + kLanes));
#elif defined(__AVX2__) && !defined(__clang__)
  if (narrow) {
    const float* const at = from + first;
    return __builtin_shuffle(load<Floats>(at), load<Floats>(at + kLanes), place - static_cast<std::int32_t>(first));
  }
#endif
  static_cast<void>(first), static_cast<void>(narrow);
  Floats result;
  for (int lane = 0; lane < kLanes; ++lane) result[lane] = from[place[lane]];
  return result;
}

// Truncated, for values from -1 on.
PHOTOPEAK_INLINE std::int64_t whole_of(float value) { return static_cast<std::int64_t>(value + 1.0f) - 1; }
PHOTOPEAK_INLINE Ints whole_of(Floats value) { return __builtin_convertvector(value + 1.0f, Ints) - 1; }

PHOTOPEAK_INLINE float held(float value, float low, float high) {
  value = value < low ? low : value;
  return value > high ? high : value;
}
PHOTOPEAK_INLINE Floats held(Floats value, float low, float high) {
  value = value < low ? Floats{} + low : value;
  return value > high ? Floats{} + high : value;
}

// Adds what rays read of a line of voxels, between two neighbours each.
PHOTOPEAK_INLINE void read(const UprightLine& line, const Crossing& at, const float* voxels, float* sums) {
  const float end = static_cast<float>(line.b_size);
  // The window begins one element early: its place is computed apart and may be rounded otherwise.
  const bool narrow = at.spacing * (kLanes - 1) + 4 < 2 * kLanes;
  for (std::int64_t i = 0; i < line.length; i += kLanes) {
    const Floats place = held(at.b + at.spacing * counted(i), -1.0f, end);
    const std::int64_t first = whole_of(held(at.b + at.spacing * static_cast<float>(i), -1.0f, end)) - 1;
    const Ints whole = whole_of(place);
    const Floats share = place - __builtin_convertvector(whole, Floats);
    const Floats here = element_at(voxels, first, whole, narrow), next = element_at(voxels + 1, first, whole, narrow);
    store(sums + i, load<Floats>(sums + i) + here + share * (next - here));
  }
}

// The interpolation along a, for a run of voxels of kRun registers: all planes at once where the rest does not change.
constexpr int kRun = 4;

void add_parallel(const UprightLine& line, const float* volume, float* voxels) {
  for (std::int64_t z = 0; z < line.b_size; z += kRun * kLanes) {
    Floats sums[kRun] = {};
    for (std::int64_t k = line.begin; k < line.end; ++k) {
      const Crossing at = crossing_at(line, k);
      const float* const lower = volume + k * line.stride + at.lower * line.a_stride + z;
      const float* const upper = lower + line.a_stride;
      for (int j = 0; j < kRun; ++j) {
        if (z + j * kLanes >= line.b_size) break;
        const Floats below = load<Floats>(lower + j * kLanes), above = load<Floats>(upper + j * kLanes);
        sums[j] += below + at.a_share * (above - below);
      }
    }
    for (int j = 0; j < kRun; ++j) {
      if (z + j * kLanes >= line.b_size) break;
      store(voxels + z + j * kLanes, sums[j]);
    }
  }
}

void sum(const UprightLine& line, const float* volume, float* voxels, float* sums) {
  for (std::int64_t i = 0; i < line.length; i += kLanes) store(sums + i, Floats{});
  if (line.parallel()) {
    add_parallel(line, volume, voxels);
    read(line, crossing_at(line, 0), voxels, sums);
    return;
  }
  for (std::int64_t k = line.begin; k < line.end; ++k) {
    const Crossing at = crossing_at(line, k);
    const float* const lower = volume + k * line.stride + at.lower * line.a_stride;
    for (std::int64_t z = 0; z < line.b_size; z += kLanes) {
      const Floats below = load<Floats>(lower + z), above = load<Floats>(lower + line.a_stride + z);
      store(voxels + z, below + at.a_share * (above - below));
    }
    read(line, at, voxels, sums);
  }
}

void gather(const UprightLine& line, std::int64_t plane, const float* values, float* voxels) {
  const Crossing at = crossing_at(line, plane);
  const float end = static_cast<float>(line.length), rays_per_voxel = 1.0f / at.spacing;
  const int candidates = static_cast<int>(2.0f * rays_per_voxel) + 2;
  const bool narrow = rays_per_voxel * (kLanes - 1) + 4 < 2 * kLanes;
  for (std::int64_t z = 0; z < line.b_size; z += kLanes) {
    const Floats voxel = counted(z);
    // The first ray that may be less than one voxel away.
    const Floats begin = held((voxel - 1.0f - at.b) * rays_per_voxel, -1.0f, end);
    const std::int64_t first = whole_of(held((static_cast<float>(z) - 1.0f - at.b) * rays_per_voxel, -1.0f, end)) - 1;
    const Ints start = whole_of(begin);
    Floats total{};
    for (int j = 0; j < candidates; ++j) {
      const Floats ray = __builtin_convertvector(start + j, Floats);
      const Floats offset = at.b + at.spacing * ray - voxel, distance = offset < 0.0f ? -offset : offset;
      const Floats weight = distance < 1.0f ? 1.0f - distance : Floats{};
      total += weight * element_at(values + j, first, start, narrow);
    }
    store(voxels + z, total);
  }
}

void share(const UprightLine& line, std::int64_t plane, const float* voxels, float* volume) {
  const Crossing at = crossing_at(line, plane);
  float* const lower = volume + plane * line.stride + at.lower * line.a_stride;
  float* const upper = lower + line.a_stride;
  for (std::int64_t z = 0; z < line.b_size; z += kLanes) {
    const Floats value = load<Floats>(voxels + z), above = at.a_share * value;
    store(upper + z, load<Floats>(upper + z) + above);
    store(lower + z, load<Floats>(lower + z) + (value - above));
  }
}

}  // namespace

extern const UprightLoops PHOTOPEAK_LOOPS;
const UprightLoops PHOTOPEAK_LOOPS{sum, gather, share};

}  // namespace photopeak
