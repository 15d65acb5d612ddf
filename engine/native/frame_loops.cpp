// Compiled several times, with PHOTOPEAK_LOOPS naming the table to fill. Uses nothing of the standard library: an
// inline function compiled for AVX-512 here could replace the portable copy that the linker finds elsewhere.
#include "frame_loops.hpp"

#ifdef __AVX512F__
#include <immintrin.h>
#endif

namespace photopeak {
namespace {

// Vectors of fixed length, whatever the machine has: the order of additions is then the same everywhere.
constexpr std::int64_t kLanes = 8;
using Floats = float __attribute__((vector_size(32)));
using Ints = std::int32_t __attribute__((vector_size(32)));
using Doubles = double __attribute__((vector_size(64)));

template <class Vector, class T>
inline __attribute__((always_inline)) Vector load(const T* from) {
  Vector values;
  __builtin_memcpy(&values, from, sizeof values);
  return values;
}

// GCC converts vectors of 512 bits in halves unless it is told the instruction.
#ifdef __AVX512F__
inline __attribute__((always_inline)) Doubles widen(Floats values) { return (Doubles)_mm512_cvtps_pd((__m256)values); }
inline __attribute__((always_inline)) Doubles widen(Ints values) {
  return (Doubles)_mm512_cvtepi32_pd((__m256i)values);
}
inline __attribute__((always_inline)) Floats narrow(Doubles values) { return (Floats)_mm512_cvtpd_ps((__m512d)values); }
#else
inline __attribute__((always_inline)) Doubles widen(Floats values) { return __builtin_convertvector(values, Doubles); }
inline __attribute__((always_inline)) Doubles widen(Ints values) { return __builtin_convertvector(values, Doubles); }
inline __attribute__((always_inline)) Floats narrow(Doubles values) { return __builtin_convertvector(values, Floats); }
#endif

template <class Vector>
double total(const Vector& lanes) {
  double sum = 0;
  for (std::int64_t i = 0; i < kLanes; ++i) sum += lanes[i];
  return sum;
}

template <class T>
void convert(const T* __restrict stored, std::int64_t n, Rescale rescale, float* __restrict out) {
  if (rescale.slope == 1.0 && rescale.intercept == 0.0) {
    for (std::int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(stored[i]);
  } else {
    const Rescale r = rescale;
    std::int64_t i = 0;
#ifdef __AVX512F__
    if constexpr (sizeof(T) == 2) {  // what cameras store; the same arithmetic as below
      for (; i + kLanes <= n; i += kLanes) {
        const __m128i packed = load<__m128i>(stored + i);
        const __m256i whole = T(-1) < T(0) ? _mm256_cvtepi16_epi32(packed) : _mm256_cvtepu16_epi32(packed);
        const Floats values = narrow(widen((Ints)whole) * r.slope + r.intercept);
        __builtin_memcpy(out + i, &values, sizeof values);
      }
    }
#endif
    for (; i < n; ++i) out[i] = to_physical(stored[i], r.slope, r.intercept);
  }
}

void to_float(const void* stored, Stored type, std::int64_t n, Rescale rescale, float* out) {
  with_type(type, [&](auto zero) { convert(static_cast<const decltype(zero)*>(stored), n, rescale, out); });
}

template <class T>
bool round_pixels(const RoundingJob& job, std::int64_t begin, std::int64_t end, T* __restrict out) {
  const RoundingJob j = job;
  std::int32_t misfits = 0;
  for (std::int64_t i = begin; i < end; ++i) {
    const Split value = split_value(j.frame[i], j.inverse_slope, j.intercept, j.range);
    out[i] = static_cast<T>(rounded(value));
    misfits |= value.misfit;
  }
  return misfits == 0;
}

bool round_plain(const RoundingJob& job, std::int64_t begin, std::int64_t end, StoredFrame out) {
  bool fits = true;
  with_type(out.type,
            [&](auto zero) { fits = round_pixels(job, begin, end, static_cast<decltype(zero)*>(out.pixels)); });
  return fits;
}

constexpr std::int64_t kPiece = 128;  // pixels that wait in the nearest cache between two loops

// Splits n pixels, at most kPiece, and returns whether one of them does not fit.
std::int32_t split_piece(const RoundingJob& job, const float* __restrict pixels, std::int64_t n,
                         std::int32_t* __restrict whole, std::int32_t* __restrict rest) {
  const RoundingJob j = job;
  std::int32_t misfits = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const Split value = split_value(pixels[i], j.inverse_slope, j.intercept, j.range);
    whole[i] = value.whole;
    rest[i] = value.rest;
    misfits |= value.misfit;
  }
  return misfits;
}

// One row, which has no other to play against yet.
template <class T>
bool split_row(const RoundingJob& job, std::int64_t begin, T* __restrict out, std::int32_t* __restrict rest,
               std::int32_t* __restrict pixel) {
  std::int32_t whole[kPiece], misfits = 0;
  for (std::int64_t start = 0; start < job.columns; start += kPiece) {
    const std::int64_t n = job.columns - start < kPiece ? job.columns - start : kPiece, at = begin + start;
    misfits |= split_piece(job, job.frame + at, n, whole, rest + start);
    for (std::int64_t i = 0; i < n; ++i) out[at + i] = static_cast<T>(whole[i]);
    for (std::int64_t i = 0; i < n; ++i) pixel[start + i] = static_cast<std::int32_t>(at + i);
  }
  return misfits == 0;
}

// Two rows, with the first round between them.
template <class T>
bool split_row_pair(const RoundingJob& job, std::int64_t begin, T* __restrict out, std::int32_t* __restrict rest,
                    std::int32_t* __restrict pixel) {
  std::int32_t whole[2][kPiece], rests[2][kPiece], misfits = 0;
  for (std::int64_t start = 0; start < job.columns; start += kPiece) {
    const std::int64_t n = job.columns - start < kPiece ? job.columns - start : kPiece;
    const std::int64_t upper = begin + start, lower = upper + job.columns;
    misfits |= split_piece(job, job.frame + upper, n, whole[0], rests[0]);
    misfits |= split_piece(job, job.frame + lower, n, whole[1], rests[1]);
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int32_t a = static_cast<std::int32_t>(upper + i), b = static_cast<std::int32_t>(lower + i);
      const Match match = play({rests[0][i], a}, {rests[1][i], b});
      whole[0][i] += match.out == a ? match.up : 0;
      whole[1][i] += match.out == a ? 0 : match.up;
      rest[start + i] = match.winner.rest;
      pixel[start + i] = match.winner.pixel;
    }
    for (std::int64_t i = 0; i < n; ++i) out[upper + i] = static_cast<T>(whole[0][i]);
    for (std::int64_t i = 0; i < n; ++i) out[lower + i] = static_cast<T>(whole[1][i]);
  }
  return misfits == 0;
}

// Plays n matches between a[i * step] and b[i * step]; who leaves is rounded in `out`.
template <int step, class T>
void play_row(const std::int32_t* __restrict rest, const std::int32_t* __restrict pixel, std::int64_t other,
              std::int64_t n, std::int32_t* __restrict next_rest, std::int32_t* __restrict next_pixel,
              T* __restrict out) {
  constexpr std::int64_t chunk = 64;
  std::int32_t leaving[chunk], up[chunk];
  for (std::int64_t start = 0; start < n; start += chunk) {
    const std::int64_t count = n - start < chunk ? n - start : chunk;
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t a = (start + i) * step, b = a + other;
      const Match match = play({rest[a], pixel[a]}, {rest[b], pixel[b]});
      next_rest[start + i] = match.winner.rest;
      next_pixel[start + i] = match.winner.pixel;
      leaving[i] = match.out;
      up[i] = match.up;
    }
    for (std::int64_t i = 0; i < count; ++i) out[leaving[i]] = static_cast<T>(out[leaving[i]] + up[i]);
  }
}

// Halves columns and rows in turn until one player is left; an odd one out moves on without a match.
template <class T>
Player play_strip(StripScratch s, std::int64_t rows, std::int64_t columns, T* out) {
  const std::int64_t stride = columns;
  int now = 0;
  const auto pass_on = [&](std::int64_t from, std::int64_t to) {
    s.rest[1 - now][to] = s.rest[now][from];
    s.pixel[1 - now][to] = s.pixel[now][from];
  };
  while (rows > 1 || columns > 1) {
    if (columns > 1) {
      for (std::int64_t r = 0; r < rows; ++r) {
        play_row<2>(s.rest[now] + r * stride, s.pixel[now] + r * stride, 1, columns / 2, s.rest[1 - now] + r * stride,
                    s.pixel[1 - now] + r * stride, out);
        if (columns % 2) pass_on(r * stride + columns - 1, r * stride + columns / 2);
      }
      columns = (columns + 1) / 2;
      now = 1 - now;
    }
    if (rows > 1) {
      for (std::int64_t r = 0; r < rows / 2; ++r)
        play_row<1>(s.rest[now] + 2 * r * stride, s.pixel[now] + 2 * r * stride, stride, columns,
                    s.rest[1 - now] + r * stride, s.pixel[1 - now] + r * stride, out);
      if (rows % 2)
        for (std::int64_t c = 0; c < columns; ++c) pass_on((rows - 1) * stride + c, rows / 2 * stride + c);
      rows = (rows + 1) / 2;
      now = 1 - now;
    }
  }
  return {s.rest[now][0], s.pixel[now][0]};
}

template <class T>
bool round_rows(const RoundingJob& job, std::int64_t row, std::int64_t rows, StripScratch scratch, T* out,
                Player* root) {
  const std::int64_t n = job.columns;
  bool fits = true;
  for (std::int64_t r = 0; r + 1 < rows; r += 2)
    fits &= split_row_pair(job, (row + r) * n, out, scratch.rest[0] + r / 2 * n, scratch.pixel[0] + r / 2 * n);
  if (rows % 2)
    fits &= split_row(job, (row + rows - 1) * n, out, scratch.rest[0] + rows / 2 * n, scratch.pixel[0] + rows / 2 * n);
  *root = play_strip(scratch, (rows + 1) / 2, n, out);
  return fits;
}

bool round_strip(const RoundingJob& job, std::int64_t row, std::int64_t rows, StripScratch scratch, StoredFrame out,
                 Player* root) {
  bool fits = true;
  with_type(out.type, [&](auto zero) {
    fits = round_rows(job, row, rows, scratch, static_cast<decltype(zero)*>(out.pixels), root);
  });
  return fits;
}

void normalise(const float* in, std::int64_t n, float low, float inverse_width, float* out) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = normalised(in[i], low, inverse_width);
}

void blend_row(const float* __restrict tile, const float* __restrict weights, float row_weight, std::int64_t n,
               float* __restrict out) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = blended(out[i], row_weight, weights[i], tile[i]);
}

void scale(const float* in, std::int64_t n, float factor, float* out) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = scaled(in[i], factor);
}

Sums sums(const float* in, std::int64_t n) {
  Doubles all[2] = {}, positive[2] = {};
  std::int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes)
    for (int half = 0; half < 2; ++half) {
      const Floats x = load<Floats>(in + i + half * kLanes);
      all[half] += widen(x);
      positive[half] += widen(x > 0.0f ? x : Floats{});
    }
  Sums result{total(all[0]) + total(all[1]), total(positive[0]) + total(positive[1])};
  for (; i < n; ++i) {
    result.all += in[i];
    result.positive += not_negative(in[i]);
  }
  return result;
}

struct Lanes {
  Doubles sum[2], z[2], zz[2], difference_1[2], difference_2[2];
  Floats minimum[2], maximum[2];
  Ints nonzero[2], non_finite[2], fractions[2];
};

constexpr float kInfinity = __builtin_inff();

Moments collect(const Lanes& l, std::int64_t fill) {
  Moments m{total(l.sum[0]) + total(l.sum[1]),
            total(l.z[0]) + total(l.z[1]),
            total(l.zz[0]) + total(l.zz[1]),
            total(l.difference_1[0]) + total(l.difference_1[1]),
            total(l.difference_2[0]) + total(l.difference_2[1]),
            kInfinity,
            -kInfinity,
            0,
            -fill,
            0};
  for (int half = 0; half < 2; ++half)
    for (std::int64_t i = 0; i < kLanes; ++i) {
      m.minimum = l.minimum[half][i] < m.minimum ? l.minimum[half][i] : m.minimum;
      m.maximum = l.maximum[half][i] > m.maximum ? l.maximum[half][i] : m.maximum;
      m.nonzero += l.nonzero[half][i];
      m.non_finite += l.non_finite[half][i];
      m.fractions += l.fractions[half][i];
    }
  return m;
}

inline __attribute__((always_inline)) void add_values(Floats x, int half, Lanes& lanes) {
  const Ints size = (Ints)x & 0x7fffffff;
  const Ints finite = size < 0x7f800000;
  const Floats absolute = (Floats)size, bounded = absolute < 8388608.0f ? absolute : Floats{} + 8388608.0f;
  const Floats whole = __builtin_convertvector(__builtin_convertvector(bounded, Ints), Floats);
  const Floats lowest = finite ? x : Floats{} + kInfinity, highest = finite ? x : Floats{} - kInfinity;
  x = finite ? x : Floats{};
  lanes.sum[half] += widen(x);
  lanes.minimum[half] = lowest < lanes.minimum[half] ? lowest : lanes.minimum[half];
  lanes.maximum[half] = highest > lanes.maximum[half] ? highest : lanes.maximum[half];
  lanes.nonzero[half] -= (x != 0.0f);
  lanes.non_finite[half] += 1 + finite;
  lanes.fractions[half] -= finite & (whole != bounded);
}

// Calls add(vector, half) for all of a row; the last vector is filled up with `fill`.
template <class Add>
inline __attribute__((always_inline)) void for_vectors(const float* row, std::int64_t n, float fill, Add&& add) {
  std::int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    add(load<Floats>(row + i), 0);
    add(load<Floats>(row + i + kLanes), 1);
  }
  for (; i < n; i += kLanes) {
    Floats last = Floats{} + fill;
    for (std::int64_t k = 0; k < kLanes && i + k < n; ++k) last[k] = row[i + k];
    add(last, 0);
  }
}

inline __attribute__((always_inline)) void add_squares(const float* __restrict a, const float* __restrict b,
                                                       std::int64_t n, Doubles* sum) {
  std::int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes)
    for (int half = 0; half < 2; ++half) {
      const Floats difference = load<Floats>(a + i + half * kLanes) - load<Floats>(b + i + half * kLanes);
      sum[half] += widen(difference * difference);
    }
  for (; i < n; ++i) sum[0][i % kLanes] += (a[i] - b[i]) * (a[i] - b[i]);
}

void anscombe_row(const float* __restrict row, std::int64_t n, float* __restrict z) {
  for (std::int64_t i = 0; i < n; ++i) z[i] = 2.0f * __builtin_sqrtf(anscombe_radicand(row[i]));
}

Moments moments(const float* frame, std::int64_t columns, std::int64_t begin, std::int64_t end, float* scratch) {
  Lanes lanes{};
  for (int half = 0; half < 2; ++half) {
    lanes.minimum[half] += kInfinity;
    lanes.maximum[half] -= kInfinity;
  }
  const std::int64_t above = begin < 2 ? begin : 2, n = columns;
  for (std::int64_t row = begin - above; row < begin; ++row) anscombe_row(frame + row * n, n, scratch + row % 3 * n);
  for (std::int64_t row = begin; row < end; ++row) {
    const float* const pixels = frame + row * n;
    float* const z = scratch + row % 3 * n;
    anscombe_row(pixels, n, z);
    for_vectors(pixels, n, kInfinity, [&](Floats x, int half) { add_values(x, half, lanes); });
    for_vectors(z, n, 0.0f, [&](Floats values, int half) {
      const Doubles wide = widen(values);
      lanes.z[half] += wide;
      lanes.zz[half] += wide * wide;
    });
    add_squares(z + 1, z, n - 1, lanes.difference_1);
    add_squares(z + 2, z, n - 2, lanes.difference_2);
    if (row > 0) add_squares(z, scratch + (row - 1) % 3 * n, n, lanes.difference_1);
    if (row > 1) add_squares(z, scratch + (row - 2) % 3 * n, n, lanes.difference_2);
  }
  // The last vector of each row was filled up with infinities.
  return collect(lanes, (end - begin) * ((kLanes - n % kLanes) % kLanes));
}

std::int64_t collect(const float* in, std::int64_t n, std::uint32_t prefix, std::uint32_t flip, std::uint32_t* out) {
  std::int64_t found = 0, i = 0;
#ifdef __AVX512F__
  const __m512i wanted = _mm512_set1_epi32(static_cast<int>(prefix)), mask = _mm512_set1_epi32(static_cast<int>(flip));
  for (; i + 16 <= n; i += 16) {
    const __m512i bits = load<__m512i>(in + i);
    const __mmask16 equal = _mm512_cmpeq_epi32_mask(_mm512_srli_epi32(bits, kPrefixShift), wanted);
    const __m512i kept = _mm512_maskz_compress_epi32(equal, _mm512_xor_si512(bits, mask));
    __builtin_memcpy(out + found, &kept, sizeof kept);
    found += __builtin_popcount(equal);
  }
#endif
  for (; i < n; ++i) {
    const std::uint32_t bits = load<std::uint32_t>(in + i);
    out[found] = bits ^ flip;
    found += (bits >> kPrefixShift) == prefix;
  }
  return found;
}

Extent extent(const std::uint32_t* in, std::int64_t n) {
  Extent e{0xffffffffu, 0};
  for (std::int64_t i = 0; i < n; ++i) {
    e.least = in[i] < e.least ? in[i] : e.least;
    e.most = in[i] > e.most ? in[i] : e.most;
  }
  return e;
}

}  // namespace

extern const Loops PHOTOPEAK_LOOPS;
const Loops PHOTOPEAK_LOOPS = {PHOTOPEAK_LOOPS_NAME,
                               to_float,
                               round_plain,
                               round_strip,
                               normalise,
                               blend_row,
                               moments,
                               collect,
                               extent,
                               sums,
                               scale};

}  // namespace photopeak
