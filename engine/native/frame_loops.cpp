// Compiled several times, with PHOTOPEAK_LOOPS naming the table to fill. Uses nothing of the standard library: an
// inline function compiled for AVX-512 here could replace the portable copy that the linker finds elsewhere.
#include "frame_loops.hpp"

#ifdef __AVX512F__
#include <immintrin.h>
#endif

namespace photopeak {
namespace {

template <class Value, class T>
inline __attribute__((always_inline)) Value load(const T* from) {
  Value value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}

template <class T>
void convert(const T* __restrict stored, std::int64_t n, Rescale rescale, float* __restrict out) {
  if (rescale.slope == 1.0 && rescale.intercept == 0.0) {
    for (std::int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(stored[i]);
  } else {
    const Rescale r = rescale;
    std::int64_t i = 0;
#ifdef __AVX512F__
    if constexpr (sizeof(T) == 2) {  // what cameras store; the same arithmetic as below, eight pixels at a time
      const __m512d slope = _mm512_set1_pd(r.slope), intercept = _mm512_set1_pd(r.intercept);
      for (; i + 8 <= n; i += 8) {
        const __m128i packed = load<__m128i>(stored + i);
        const __m256i whole = T(-1) < T(0) ? _mm256_cvtepi16_epi32(packed) : _mm256_cvtepu16_epi32(packed);
        const __m512d exact = _mm512_add_pd(_mm512_mul_pd(_mm512_cvtepi32_pd(whole), slope), intercept);
        _mm256_storeu_ps(out + i, _mm512_cvtpd_ps(exact));
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

// Sums are kept in sixteen lanes, whatever the machine has: the order of additions is then the same everywhere.
constexpr std::int64_t kSumLanes = 16;

double total(const double* lanes) {
  double sum = 0;
  for (std::int64_t k = 0; k < kSumLanes; ++k) sum += lanes[k];
  return sum;
}

// Adds term(0) ... term(n - 1) to the lanes. The copy of the lanes is what lets the compiler hold them in registers.
template <class Term>
inline __attribute__((always_inline)) void add_terms(std::int64_t n, double* sum, Term&& term) {
  double lanes[kSumLanes];
  for (std::int64_t k = 0; k < kSumLanes; ++k) lanes[k] = sum[k];
  std::int64_t i = 0;
  for (; i + kSumLanes <= n; i += kSumLanes)
    for (std::int64_t k = 0; k < kSumLanes; ++k) lanes[k] += term(i + k);
  for (std::int64_t k = 0; k < n - i; ++k) lanes[k] += term(i + k);
  for (std::int64_t k = 0; k < kSumLanes; ++k) sum[k] = lanes[k];
}

constexpr std::int64_t kNearPixels = 2048;  // what a second loop finds in the nearest cache

Sums sums(const float* __restrict in, std::int64_t n) {
  double all[kSumLanes] = {}, positive[kSumLanes] = {};
  for (std::int64_t start = 0; start < n; start += kNearPixels) {
    const float* __restrict x = in + start;
    const std::int64_t count = n - start < kNearPixels ? n - start : kNearPixels;
    add_terms(count, all, [x](std::int64_t i) { return x[i]; });
    add_terms(count, positive, [x](std::int64_t i) { return not_negative(x[i]); });
  }
  return {total(all), total(positive)};
}

double scale(const float* in, std::int64_t n, float factor, float* out) {
  double all[kSumLanes] = {};
  for (std::int64_t start = 0; start < n; start += kNearPixels) {
    const std::int64_t count = n - start < kNearPixels ? n - start : kNearPixels;
    for (std::int64_t i = start; i < start + count; ++i) out[i] = scaled(in[i], factor);
    const float* const x = out + start;  // no __restrict: it was written just above
    add_terms(count, all, [x](std::int64_t i) { return x[i]; });
  }
  return total(all);
}

struct Lanes {
  double sum[kSumLanes], z[kSumLanes], zz[kSumLanes], difference_1[kSumLanes], difference_2[kSumLanes];
};

// Whole numbers in the order of the floats: compilers find the extremes of those with vectors.
inline std::int32_t order_of(std::int32_t bits) { return bits ^ ((bits >> 31) & 0x7fffffff); }

constexpr std::int32_t kInfinityBits = 0x7f800000;
constexpr float kInfinity = __builtin_inff();

using Bits __attribute__((may_alias)) = std::int32_t;

// Counts and extremes of a row, which is also copied with 0 for what is not finite. Works on the bits of the floats.
void count_values(const float* __restrict row, std::int64_t n, float* __restrict kept, Moments& m) {
  std::int32_t least = order_of(load<std::int32_t>(&m.minimum));
  std::int32_t most = order_of(load<std::int32_t>(&m.maximum));
  std::int32_t non_finite = 0, nonzero = 0, fractions = 0;
  const Bits* const in = reinterpret_cast<const Bits*>(row);
  Bits* const out = reinterpret_cast<Bits*>(kept);
  for (std::int64_t i = 0; i < n; ++i) out[i] = (in[i] & 0x7fffffff) < kInfinityBits ? in[i] : 0;
  for (std::int64_t i = 0; i < n; ++i) non_finite += (in[i] & 0x7fffffff) >= kInfinityBits;
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int32_t low = (in[i] & 0x7fffffff) < kInfinityBits ? order_of(in[i]) : order_of(kInfinityBits);
    least = low < least ? low : least;
  }
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int32_t high = (in[i] & 0x7fffffff) < kInfinityBits ? order_of(in[i]) : ~kInfinityBits;
    most = high > most ? high : most;
  }
  for (std::int64_t i = 0; i < n; ++i) nonzero += kept[i] != 0.0f;
  for (std::int64_t i = 0; i < n; ++i) fractions += has_fraction(kept[i]);
  least = order_of(least), most = order_of(most);
  m.minimum = load<float>(&least);
  m.maximum = load<float>(&most);
  m.non_finite += non_finite;
  m.nonzero += nonzero;
  m.fractions += fractions;
}

void add_plain(const float* __restrict x, std::int64_t n, double* sum) {
  add_terms(n, sum, [x](std::int64_t i) { return x[i]; });
}

void add_squares(const float* __restrict x, std::int64_t n, double* sum) {
  add_terms(n, sum, [x](std::int64_t i) { return static_cast<double>(x[i]) * x[i]; });
}

void add_squared_differences(const float* __restrict a, const float* __restrict b, std::int64_t n, double* sum) {
  add_terms(n, sum, [a, b](std::int64_t i) { return (a[i] - b[i]) * (a[i] - b[i]); });
}

void anscombe_row(const float* __restrict row, std::int64_t n, float* __restrict z) {
  for (std::int64_t i = 0; i < n; ++i) z[i] = 2.0f * __builtin_sqrtf(anscombe_radicand(row[i]));
}

// One pass over the rows; what follows each finds them in the nearest cache.
Moments moments(const float* frame, std::int64_t columns, std::int64_t begin, std::int64_t end, float* scratch) {
  const std::int64_t above = begin < 2 ? begin : 2, n = columns;
  float* const kept = scratch + 3 * n;
  Lanes lanes{};
  Moments m{0, 0, 0, 0, 0, kInfinity, -kInfinity, 0, 0, 0};
  for (std::int64_t row = begin - above; row < begin; ++row) anscombe_row(frame + row * n, n, scratch + row % 3 * n);
  for (std::int64_t row = begin; row < end; ++row) {
    float* const z = scratch + row % 3 * n;
    count_values(frame + row * n, n, kept, m);
    anscombe_row(kept, n, z);
    add_plain(kept, n, lanes.sum);
    add_plain(z, n, lanes.z);
    add_squares(z, n, lanes.zz);
    add_squared_differences(z + 1, z, n - 1, lanes.difference_1);
    add_squared_differences(z + 2, z, n - 2, lanes.difference_2);
    if (row > 0) add_squared_differences(z, scratch + (row - 1) % 3 * n, n, lanes.difference_1);
    if (row > 1) add_squared_differences(z, scratch + (row - 2) % 3 * n, n, lanes.difference_2);
  }
  m.sum = total(lanes.sum);
  m.z = total(lanes.z);
  m.zz = total(lanes.zz);
  m.difference_1 = total(lanes.difference_1);
  m.difference_2 = total(lanes.difference_2);
  return m;
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
