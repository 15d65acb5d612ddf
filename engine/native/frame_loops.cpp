// Compiled several times, with PHOTOPEAK_LOOPS naming the table to fill and PHOTOPEAK_LEVEL the namespace of what it
// shares with other files. Uses nothing of the standard library: an inline function compiled for AVX-512 here could
// replace the portable copy that the linker finds elsewhere.
#include "frame_loops.hpp"

#include "frame_rounding.hpp"
#include "frame_vectors.hpp"

namespace photopeak {
namespace {

#ifdef __AVX512F__
template <class T>
PHOTOPEAK_BODY __m512i widened(const T* from) {
  constexpr bool is_signed = T(-1) < T(0);
  if constexpr (sizeof(T) == 1) {
    const __m128i packed = _mm_cvtsi64_si128(load<long long>(from));
    return is_signed ? _mm512_cvtepi8_epi64(packed) : _mm512_cvtepu8_epi64(packed);
  } else if constexpr (sizeof(T) == 2) {
    return is_signed ? _mm512_cvtepi16_epi64(load<__m128i>(from)) : _mm512_cvtepu16_epi64(load<__m128i>(from));
  } else {
    return is_signed ? _mm512_cvtepi32_epi64(load<__m256i>(from)) : _mm512_cvtepu32_epi64(load<__m256i>(from));
  }
}

// Eight values times a slope below kLargeSlope, rounded as a product is.
template <class T>
PHOTOPEAK_BODY __m512d times_slope(const T* from, __m512d slope) {
  if constexpr (T(0.5) != T(0)) {
    return _mm512_mul_pd(_mm512_cvtps_pd(load<__m256>(from)), slope);
  } else if constexpr (T(-1) < T(0)) {
    return _mm512_mul_pd(_mm512_cvtepi64_pd(widened(from)), slope);
  } else {
    // In the low bits of 2^52, whole numbers are doubles without a conversion; 2^52 * slope, which is taken away again,
    // is exact, so that the one rounding is that of the product.
    const __m512i raised = _mm512_or_si512(widened(from), _mm512_set1_epi64(0x4330000000000000));
    return _mm512_fmadd_pd(_mm512_castsi512_pd(raised), slope, _mm512_mul_pd(slope, _mm512_set1_pd(-0x1p52)));
  }
}

constexpr double kLargeSlope = 1e290;
#endif

template <bool contrasted, class T>
void rescale_run(const T* __restrict in, std::int64_t n, Rescale r, Contrast c, float* __restrict out) {
  std::int64_t i = 0;
#ifdef __AVX512F__  // the same arithmetic as below, eight pixels at a time
  const __m512d slope = _mm512_set1_pd(r.slope), intercept = _mm512_set1_pd(r.intercept);
  const __m256 low = _mm256_set1_ps(c.low), inverse_width = _mm256_set1_ps(c.inverse_width);
  const auto eight = [&](std::int64_t at) __attribute__((always_inline)) {
    const __m256 physical = _mm512_cvtpd_ps(_mm512_add_pd(times_slope(in + at, slope), intercept));
    const __m256 value = contrasted ? _mm256_mul_ps(_mm256_sub_ps(physical, low), inverse_width) : physical;
    _mm256_storeu_ps(out + at, value);
  };
  if (n >= 16 && r.slope < kLargeSlope) {
    eight(0);  // in between, no store touches two cache lines; what overlaps is written twice
    for (i = 8 - (reinterpret_cast<std::uintptr_t>(out) / sizeof(float) & 7); i + 8 <= n; i += 8) eight(i);
    eight(n - 8);
    return;
  }
#endif
  for (; i < n; ++i) {
    const float physical = to_physical(in[i], r.slope, r.intercept);
    out[i] = contrasted ? normalised(physical, c.low, c.inverse_width) : physical;
  }
}

template <class T>
void stage_run(const T* __restrict in, std::int64_t n, Rescale r, Contrast c, float* __restrict out) {
  const bool contrasted = c.low != 0.0f || c.inverse_width != 1.0f;
  if (r.slope != 1.0 || r.intercept != 0.0) {
    contrasted ? rescale_run<true>(in, n, r, c, out) : rescale_run<false>(in, n, r, c, out);
  } else if (contrasted) {
    for (std::int64_t i = 0; i < n; ++i) out[i] = normalised(static_cast<float>(in[i]), c.low, c.inverse_width);
  } else {
    for (std::int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(in[i]);
  }
}

void stage(const void* pixels, Stored type, std::int64_t n, Rescale rescale, Contrast contrast, float* out) {
  with_type(type, [&](auto zero) { stage_run(static_cast<const decltype(zero)*>(pixels), n, rescale, contrast, out); });
}

void reverse(float* row, std::int64_t n) {
  const Ints backwards = kInts - 1 - counted(0);
  std::int64_t i = 0, j = n;
  for (; i + 2 * kInts <= j; i += kInts, j -= kInts) {
    const Ints left = shuffled(load<Ints>(row + i), backwards),
               right = shuffled(load<Ints>(row + j - kInts), backwards);
    __builtin_memcpy(row + i, &right, sizeof right);
    __builtin_memcpy(row + j - kInts, &left, sizeof left);
  }
  for (--j; i < j; ++i, --j) {
    const float left = row[i];
    row[i] = row[j];
    row[j] = left;
  }
}

template <bool first>
void blend_row(const float* __restrict tile, const float* __restrict weights, float row_weight, std::int64_t n,
               float* __restrict out) {
  for (std::int64_t i = 0; i < n; ++i) {
    const float pixel = weighted(row_weight, weights[i], tile[i]);
    out[i] = first ? pixel : out[i] + pixel;
  }
}

void blend(Rows<const float> tile, const float* row_weights, const float* weights, Area area, bool first,
           Rows<float> out) {
  const auto blend_one = first ? blend_row<true> : blend_row<false>;
  for (std::int64_t row = 0; row < area.rows; ++row)
    blend_one(tile.at(row), weights, row_weights[row], area.columns, out.at(row));
}

double total(const double* lanes) {
  double sum = 0;
  for (std::int64_t k = 0; k < kSumLanes; ++k) sum += lanes[k];
  return sum;
}

// Adds term(0) ... term(n - 1) to the lanes. The copy of the lanes is what lets the compiler hold them in registers.
template <class Term>
PHOTOPEAK_BODY void add_terms(std::int64_t n, double* sum, Term&& term) {
  double lanes[kSumLanes];
  for (std::int64_t k = 0; k < kSumLanes; ++k) lanes[k] = sum[k];
  std::int64_t i = 0;
  for (; i + kSumLanes <= n; i += kSumLanes)
    for (std::int64_t k = 0; k < kSumLanes; ++k) lanes[k] += term(i + k);
  for (std::int64_t k = 0; k < n - i; ++k) lanes[k] += term(i + k);
  for (std::int64_t k = 0; k < kSumLanes; ++k) sum[k] = lanes[k];
}

constexpr int kParts = kSumLanes / kDoubles;

PHOTOPEAK_BODY Doubles doubled(Floats values) {
#ifdef __AVX512F__  // GCC 12 would do it in halves
  return reinterpret_cast<Doubles>(_mm512_cvtps_pd(reinterpret_cast<__m256>(values)));
#else
  return __builtin_convertvector(values, Doubles);
#endif
}

// not_negative for a register.
PHOTOPEAK_BODY Doubles none_negative(Doubles values) {
#ifdef __AVX512F__
  return reinterpret_cast<Doubles>(_mm512_max_pd(reinterpret_cast<__m512d>(values), _mm512_setzero_pd()));
#else
  return values > 0.0 ? values : Doubles{};
#endif
}

PHOTOPEAK_BODY Floats none_negative(Floats values) {
#ifdef __AVX512F__
  return reinterpret_cast<Floats>(_mm256_max_ps(reinterpret_cast<__m256>(values), _mm256_setzero_ps()));
#else
  return values > 0.0f ? values : Floats{};
#endif
}

// The whole blocks of all rows are added in one order, and what is left of them in another, on every machine.
void sums(Rows<const float> in, Area area, SumLanes* lanes) {
  Doubles all[kParts], positive[kParts];
  __builtin_memcpy(all, lanes->all, sizeof all);
  __builtin_memcpy(positive, lanes->positive, sizeof positive);
  const std::int64_t blocks = area.columns / kSumLanes * kSumLanes;
  for (std::int64_t row = 0; row < area.rows; ++row) {
    const float* const from = in.at(row);
    for (std::int64_t i = 0; i < blocks; i += kSumLanes)
      for (int part = 0; part < kParts; ++part) {
        const Doubles value = doubled(load<Floats>(from + i + kDoubles * part));
        all[part] += value;
        positive[part] += none_negative(value);
      }
  }
  __builtin_memcpy(lanes->all, all, sizeof all);
  __builtin_memcpy(lanes->positive, positive, sizeof positive);
  for (std::int64_t row = 0; row < area.rows; ++row)
    for (std::int64_t k = 0; k < area.columns - blocks; ++k) {
      lanes->all[k] += in.at(row)[blocks + k];
      lanes->positive[k] += not_negative(in.at(row)[blocks + k]);
    }
}

PHOTOPEAK_BODY Floats lesser(Floats a, Floats b) {
#ifdef __AVX512F__
  return reinterpret_cast<Floats>(_mm256_min_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b)));
#else
  return a < b ? a : b;
#endif
}

void least_and_sum(const float* in, std::int64_t n, LeastAndSum* found) {
  Doubles sum[kParts];
  Floats least[kParts];
  __builtin_memcpy(sum, found->sum, sizeof sum);
  for (int part = 0; part < kParts; ++part) least[part] = Floats{} + found->least;
  std::int64_t i = 0;
  for (; i + kSumLanes <= n; i += kSumLanes)
    for (int part = 0; part < kParts; ++part) {
      const Floats value = load<Floats>(in + i + kDoubles * part);
      sum[part] += doubled(value);
      least[part] = lesser(value, least[part]);
    }
  __builtin_memcpy(found->sum, sum, sizeof sum);
  for (int lane = 0; lane < kDoubles; ++lane)
    for (const Floats& of_part : least) found->least = of_part[lane] < found->least ? of_part[lane] : found->least;
  for (std::int64_t k = 0; k < n - i; ++k) {
    found->sum[k] += in[i + k];
    found->least = in[i + k] < found->least ? in[i + k] : found->least;
  }
}

template <bool clamp>
void scale_rows(Rows<const float> in, Area area, float factor, Rows<float> out, double* lanes) {
  Doubles sum[kParts];
  __builtin_memcpy(sum, lanes, sizeof sum);
  const std::int64_t blocks = area.columns / kSumLanes * kSumLanes;
  for (std::int64_t row = 0; row < area.rows; ++row) {
    const float* const from = in.at(row);
    float* const to = out.at(row);
    for (std::int64_t i = 0; i < blocks; i += kSumLanes)
      for (int part = 0; part < kParts; ++part) {
        const Floats value = load<Floats>(from + i + kDoubles * part);
        const Floats result = (clamp ? none_negative(value) : value) * factor;
        __builtin_memcpy(to + i + kDoubles * part, &result, sizeof result);
        sum[part] += doubled(result);
      }
  }
  __builtin_memcpy(lanes, sum, sizeof sum);
  for (std::int64_t row = 0; row < area.rows; ++row)
    for (std::int64_t k = 0; k < area.columns - blocks; ++k) {
      out.at(row)[blocks + k] = scaled(in.at(row)[blocks + k], factor, clamp);
      lanes[k] += out.at(row)[blocks + k];
    }
}

void scale(Rows<const float> in, Area area, float factor, bool clamp, Rows<float> out, SumLanes* lanes) {
  clamp ? scale_rows<true>(in, area, factor, out, lanes->all) : scale_rows<false>(in, area, factor, out, lanes->all);
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

bool uniform(const float* in, std::int64_t n, std::uint32_t prefix, std::uint32_t* found) {
  std::int64_t i = 0;
  while (load<std::uint32_t>(in + i) >> kPrefixShift != prefix) ++i;
  const std::uint32_t first = *found = load<std::uint32_t>(in + i);
  constexpr std::int64_t block = 256;
  constexpr std::uint32_t others = (std::uint32_t{1} << kPrefixShift) - 1;  // that have the prefix too
  for (; i < n; i += block) {
    const std::int64_t end = n - i < block ? n : i + block;
    std::uint32_t differ = 0;
    for (std::int64_t k = i; k < end; ++k) differ |= (load<std::uint32_t>(in + k) ^ first) - 1 < others;
    if (differ) return false;
  }
  return true;
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
                               stage,
                               reverse,
                               PHOTOPEAK_LEVEL::round_plain,
                               PHOTOPEAK_LEVEL::round_strip,
                               blend,
                               moments,
                               uniform,
                               collect,
                               extent,
                               sums,
                               least_and_sum,
                               scale};

}  // namespace photopeak
