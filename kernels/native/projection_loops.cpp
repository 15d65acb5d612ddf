// Compiled several times, with PHOTOPEAK_LOOPS naming the table to fill. Uses nothing of the standard library: an
// inline function compiled for AVX-512 here could replace the portable copy that the linker finds elsewhere.
#include "projection_loops.hpp"

#include "projection_vectors.hpp"

namespace photopeak {
namespace {

// What one sample of some rays reads: two neighbours along b, at two places along a.
struct Samples {
  Ints place, inside;
  Floats a_share, b_share;  // of the farther neighbour
};

struct SomeRays {
  Floats a, a_step, b, b_step;
  Ints begin, end;
};

PHOTOPEAK_INLINE SomeRays rays_at(const LineOfRays& rays, std::int64_t i) {
  return {load<Floats>(rays.a + i),      load<Floats>(rays.a_step + i), load<Floats>(rays.b + i),
          load<Floats>(rays.b_step + i), load<Ints>(rays.begin + i),    load<Ints>(rays.end + i)};
}

PHOTOPEAK_INLINE Samples samples_in(const SomeRays& rays, const LineOfRays& line, std::int32_t plane) {
  const float number = static_cast<float>(plane);
  const Floats a = clamped(rays.a + rays.a_step * number, line.a_high);
  const Floats b = clamped(rays.b + rays.b_step * number, line.b_high);
  const Ints a_whole = __builtin_convertvector(a, Ints), b_whole = __builtin_convertvector(b, Ints);
  return {a_whole * static_cast<std::int32_t>(line.a_stride) + b_whole, (rays.begin <= plane) & (rays.end > plane),
          a - __builtin_convertvector(a_whole, Floats), b - __builtin_convertvector(b_whole, Floats)};
}

// The values at a place and at the next.
struct Pairs {
  Floats here, next;
};

PHOTOPEAK_INLINE Pairs pairs_at(const float* from, Ints place) {
#ifdef __AVX512F__
  // One gather of doubles reads both.
  const __m512i all = reinterpret_cast<__m512i>(place);
  const __m512 low = _mm512_castpd_ps(_mm512_i32gather_pd(_mm512_castsi512_si256(all), from, 4));
  const __m512 high = _mm512_castpd_ps(_mm512_i32gather_pd(_mm512_extracti64x4_epi64(all, 1), from, 4));
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
  return {_mm512_permutex2var_ps(low, even, high), _mm512_permutex2var_ps(low, odd, high)};
#else
  Pairs pairs;
  for (int lane = 0; lane < kLanes; ++lane) {
    pairs.here[lane] = from[place[lane]];
    pairs.next[lane] = from[place[lane] + 1];
  }
  return pairs;
#endif
}

PHOTOPEAK_INLINE Floats between(Pairs pairs, Floats share) { return pairs.here + share * (pairs.next - pairs.here); }

PHOTOPEAK_INLINE Floats sampled(const Samples& samples, const float* plane, std::int64_t a_stride) {
  const Floats near = between(pairs_at(plane, samples.place), samples.b_share);
  const Floats far = between(pairs_at(plane + a_stride, samples.place), samples.b_share);
  return samples.inside ? near + samples.a_share * (far - near) : Floats{};
}

// The planes that any of some rays cross.
PHOTOPEAK_INLINE void range_of(const SomeRays& rays, std::int32_t& begin, std::int32_t& end) {
  begin = INT32_MAX, end = 0;
  for (int lane = 0; lane < kLanes; ++lane) {
    if (rays.begin[lane] >= rays.end[lane]) continue;
    begin = rays.begin[lane] < begin ? rays.begin[lane] : begin;
    end = rays.end[lane] > end ? rays.end[lane] : end;
  }
}

// Lines go on to a whole register, with rays of no plane.
void sum(const LineOfRays& line, const float* volume, float* sums) {
  for (std::int64_t i = 0; i < line.length; i += kLanes) {
    const SomeRays rays = rays_at(line, i);
    std::int32_t begin, end;
    range_of(rays, begin, end);
    Floats total{};
    for (std::int32_t plane = begin; plane < end; ++plane)
      total += sampled(samples_in(rays, line, plane), volume + plane * line.stride, line.a_stride);
    store(sums + i, total);
  }
}

void spread(const LineOfRays& line, std::int32_t plane, const float* values, float* volume) {
  float* const to = volume + plane * line.stride;
  for (std::int64_t i = 0; i < line.length; i += kLanes) {
    const SomeRays rays = rays_at(line, i);
    const Samples samples = samples_in(rays, line, plane);
    const Floats value = samples.inside ? load<Floats>(values + i) : Floats{};
    const Floats far = value * samples.a_share, near = value - far;
    const Floats far_next = far * samples.b_share, near_next = near * samples.b_share;
    const Floats far_here = far - far_next, near_here = near - near_next;
    const int lanes = line.length - i < kLanes ? static_cast<int>(line.length - i) : kLanes;
    for (int lane = 0; lane < lanes; ++lane) {
      float* const at = to + samples.place[lane];
      at[0] += near_here[lane];
      at[1] += near_next[lane];
      at[line.a_stride] += far_here[lane];
      at[line.a_stride + 1] += far_next[lane];
    }
  }
}

// Calls body(row, column, rows, columns) for tiles of a cache line a side.
template <class Body>
PHOTOPEAK_INLINE void each_tile(const Transposition& shape, Body body) {
  constexpr std::int64_t kTile = 16;
  for (std::int64_t row = 0; row < shape.rows; row += kTile)
    for (std::int64_t column = 0; column < shape.columns; column += kTile)
      body(row, column, shape.rows - row < kTile ? shape.rows - row : kTile,
           shape.columns - column < kTile ? shape.columns - column : kTile);
}

void transpose(const Transposition& shape, const float* from, float* to) {
  each_tile(shape, [&](std::int64_t row, std::int64_t column, std::int64_t rows, std::int64_t columns) {
    const float* const in = from + row * shape.stride + column;
    float* const out = to + column * shape.transposed_stride + row;
    for (std::int64_t i = 0; i < rows; ++i)
      for (std::int64_t j = 0; j < columns; ++j) out[j * shape.transposed_stride + i] = in[i * shape.stride + j];
  });
}

void transpose_back(const Transposition& shape, const float* from, float* to, bool add) {
  each_tile(shape, [&](std::int64_t row, std::int64_t column, std::int64_t rows, std::int64_t columns) {
    const float* const in = from + column * shape.transposed_stride + row;
    float* const out = to + row * shape.stride + column;
    for (std::int64_t i = 0; i < rows; ++i)
      for (std::int64_t j = 0; j < columns; ++j) {
        const float value = in[j * shape.transposed_stride + i];
        out[i * shape.stride + j] = add ? out[i * shape.stride + j] + value : value;
      }
  });
}

}  // namespace

extern const ProjectionLoops PHOTOPEAK_LOOPS;
const ProjectionLoops PHOTOPEAK_LOOPS{PHOTOPEAK_LOOPS_NAME, sum, spread, transpose, transpose_back};

}  // namespace photopeak
