// Compiled several times, with PHOTOPEAK_LOOPS naming the table to fill. Uses nothing of the standard library: an
// inline function compiled for AVX-512 here could replace the portable copy that the linker finds elsewhere.
#include "frame_loops.hpp"

#ifdef __AVX512F__
#include <immintrin.h>
#endif

namespace photopeak {
namespace {

template <class Value, class T>
PHOTOPEAK_BODY Value load(const T* from) {
  Value value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}

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

// As many doubles as one register holds, as many floats in half of one, and as many integers as fill it.
#ifdef __AVX512F__
constexpr int kDoubles = 8;
#elif defined(__AVX2__)
constexpr int kDoubles = 4;
#else
constexpr int kDoubles = 2;
#endif
constexpr int kInts = 2 * kDoubles;
using Floats __attribute__((vector_size(kDoubles * sizeof(float)))) = float;
using Doubles __attribute__((vector_size(kDoubles * sizeof(double)))) = double;
using Ints __attribute__((vector_size(kInts * sizeof(std::int32_t)))) = std::int32_t;

// 0, 1, 2, ... from `first` on.
PHOTOPEAK_BODY Ints counted(std::int32_t first) {
  constexpr std::int32_t from_0[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return load<Ints>(from_0) + first;
}

// Lane l of the result is lane from[l], which is known when this is compiled.
PHOTOPEAK_BODY Ints shuffled(Ints values, Ints from) {
#ifdef __clang__
  Ints result;
  for (int lane = 0; lane < kInts; ++lane) result[lane] = values[from[lane]];
  return result;
#else
  return __builtin_shuffle(values, from);
#endif
}

#ifdef __AVX512F__
using Where = __mmask16;
PHOTOPEAK_BODY __m512i raw(Ints v) { return reinterpret_cast<__m512i>(v); }
PHOTOPEAK_BODY Ints ints(__m512i v) { return reinterpret_cast<Ints>(v); }
PHOTOPEAK_BODY Where at_least(Ints a, Ints b) { return _mm512_cmpge_epi32_mask(raw(a), raw(b)); }
PHOTOPEAK_BODY Where and_equal(Where where, Ints a, Ints b) {
  return _mm512_mask_cmpeq_epi32_mask(where, raw(a), raw(b));
}
PHOTOPEAK_BODY Ints chosen(Where where, Ints yes, Ints no) {
  return ints(_mm512_mask_blend_epi32(where, raw(no), raw(yes)));
}
PHOTOPEAK_BODY Ints one_more(Ints v, Where where) {
  return ints(_mm512_mask_sub_epi32(raw(v), where, raw(v), _mm512_set1_epi32(-1)));
}
#else
using Where = Ints;  // -1 where it holds
PHOTOPEAK_BODY Where at_least(Ints a, Ints b) { return a >= b; }
PHOTOPEAK_BODY Where and_equal(Where where, Ints a, Ints b) { return where & (a == b); }
PHOTOPEAK_BODY Ints chosen(Where where, Ints yes, Ints no) { return where ? yes : no; }
PHOTOPEAK_BODY Ints one_more(Ints v, Where where) { return v - where; }
#endif

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

template <class T>
bool round_pixels(const RoundingJob& job, std::int64_t begin, std::int64_t end, T* __restrict out) {
  const RoundingJob j = job;
  std::int64_t misfits = 0;
  for (std::int64_t i = begin; i < end; ++i) {
    const Split value = split_value(j.frame[i], j.inverse_slope, j.intercept, j.range);
    out[i] = static_cast<T>(rounded(value));
    misfits |= value.misfit;
  }
  return misfits == 0;
}

bool round_plain(const RoundingJob& job, std::int64_t begin, std::int64_t end, StoredFrame out) {
  bool fits = true;
  with_integer(out.type,
               [&](auto zero) { fits = round_pixels(job, begin, end, static_cast<decltype(zero)*>(out.pixels)); });
  return fits;
}

#ifdef __AVX512F__
// split_value for eight pixels; what left the range, even by less than the slack, leaves bits in `off`.
struct Halves {
  __m256i whole, rest;
};

PHOTOPEAK_BODY Halves split_eight(__m256 pixels, const RoundingJob& j, __m512i& off) {
  const __m512d low = _mm512_set1_pd(j.range.low), high = _mm512_set1_pd(j.range.high);
  const __m512d shifted = _mm512_sub_pd(_mm512_cvtps_pd(pixels), _mm512_set1_pd(j.intercept));
  const __m512d exact = _mm512_mul_pd(shifted, _mm512_set1_pd(j.inverse_slope));
  const __m512d value = _mm512_min_pd(_mm512_max_pd(exact, low), high);
  constexpr int or_xor = 0xf6;  // off | (value ^ exact)
  off = _mm512_ternarylogic_epi64(off, _mm512_castpd_si512(value), _mm512_castpd_si512(exact), or_xor);
  const __m512d below = _mm512_roundscale_pd(value, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  // The product is exact, so that contracting it with the sum changes nothing.
  const __m512d rest = _mm512_fmadd_pd(_mm512_sub_pd(value, below), _mm512_set1_pd(kUnit), _mm512_set1_pd(0.5));
  return {_mm512_cvttpd_epi32(below), _mm512_cvttpd_epi32(rest)};
}
#endif

// Splits n pixels, and returns whether all of them fit.
bool split_pixels(const RoundingJob& job, const float* __restrict pixels, std::int64_t n,
                  std::int32_t* __restrict whole, std::int32_t* __restrict rest) {
  const RoundingJob j = job;
  std::int64_t misfits = 0, i = 0;
#ifdef __AVX512F__
  __m512i off = _mm512_setzero_si512();
  for (; i + 16 <= n; i += 16) {
    const Halves left = split_eight(load<__m256>(pixels + i), j, off),
                 right = split_eight(load<__m256>(pixels + i + 8), j, off);
    const __m512i wholes = _mm512_inserti32x8(_mm512_castsi256_si512(left.whole), right.whole, 1);
    const __m512i rests = _mm512_inserti32x8(_mm512_castsi256_si512(left.rest), right.rest, 1);
    _mm512_storeu_si512(whole + i, _mm512_add_epi32(wholes, _mm512_srai_epi32(rests, kRestBits)));
    _mm512_storeu_si512(rest + i, _mm512_and_epi32(rests, _mm512_set1_epi32(kUnit - 1)));
  }
  if (_mm512_test_epi64_mask(off, off)) i = 0;  // all again, to see whether one left by more than the slack
#endif
  for (; i < n; ++i) {
    const Split value = split_value(pixels[i], j.inverse_slope, j.intercept, j.range);
    whole[i] = value.whole;
    rest[i] = value.rest;
    misfits |= value.misfit;
  }
  return misfits == 0;
}

constexpr int kRegisters = kBlockColumns / kInts;   // that hold one row of a block
constexpr std::int64_t kPiece = 8 * kBlockColumns;  // columns that wait in the nearest cache between two loops

// A piece of one strip: up to eight rows. What is not there has no rest, and never wins.
struct Piece {
  std::int32_t whole[kStripRows][kPiece], rest[kStripRows][kPiece];
};

// A register of matches. A player's name is its place in the block, row * 16 + column.
struct Round {
  Ints rest, name;  // of who stays
  Ints leaver;
  Where up;  // whether the leaver is rounded up
};

PHOTOPEAK_BODY Round meet(Ints rest_a, Ints name_a, Ints rest_b, Ints name_b) {
  const Ints both = rest_a + rest_b, unit = Ints{} + kUnit;
  const Where up = at_least(both, unit);
  const Where first = at_least(rest_a, rest_b) ^ up;  // whether `a` stays
  return {both & (unit - 1), chosen(first, name_a, name_b), chosen(first, name_b, name_a), up};
}

// The one player that each group of rows and columns still has; all lanes of the group know it.
struct Players {
  Ints rest[kStripRows][kRegisters], name[kStripRows][kRegisters];
};

PHOTOPEAK_BODY Ints names(int row, int part) { return counted(row * int{kBlockColumns} + part * kInts); }

// One block of a piece, in registers.
struct Block {
  Ints whole[kStripRows][kRegisters];
};

template <int rows>
PHOTOPEAK_BODY void settle_round(const Round& round, int row, int part, Block& block, Players& players) {
  for (int r = row; r < row + rows; ++r)
    block.whole[r][part] = one_more(block.whole[r][part], and_equal(round.up, round.leaver, names(r, part)));
  players.rest[row][part] = round.rest;
  players.name[row][part] = round.name;
}

// Groups of so many rows meet the group below.
template <int rows>
PHOTOPEAK_BODY void rows_meet(Block& block, Players& players) {
  for (int row = 0; row < kStripRows; row += 2 * rows)
    for (int part = 0; part < kRegisters; ++part) {
      const Round round = meet(players.rest[row][part], players.name[row][part], players.rest[row + rows][part],
                               players.name[row + rows][part]);
      settle_round<2 * rows>(round, row, part, block, players);
    }
}

// Groups of so many rows and columns meet the group to the right.
template <int rows, int columns>
PHOTOPEAK_BODY void columns_meet(Block& block, Players& players) {
  constexpr int apart = columns / kInts;  // registers; 0 when the two share one
  const Ints lefts = counted(0) & ~columns, rights = counted(0) | columns;
  for (int row = 0; row < kStripRows; row += rows) {
    const Players now = players;
    for (int part = 0; part < kRegisters; ++part) {
      const int left = part & ~apart, right = part | apart;
      const auto side = [](Ints values, Ints from) { return apart ? values : shuffled(values, from); };
      const Round round = meet(side(now.rest[row][left], lefts), side(now.name[row][left], lefts),
                               side(now.rest[row][right], rights), side(now.name[row][right], rights));
      settle_round<rows>(round, row, part, block, players);
    }
  }
}

// Plays the block at a column of a piece down to one player, rows and columns in turn; returns its name.
Player play_block(Piece& piece, std::int64_t column) {
  Block block;
  Players players;
  for (int row = 0; row < kStripRows; ++row)
    for (int part = 0; part < kRegisters; ++part) {
      block.whole[row][part] = load<Ints>(piece.whole[row] + column + part * kInts);
      players.rest[row][part] = load<Ints>(piece.rest[row] + column + part * kInts);
      players.name[row][part] = names(row, part);
    }
  rows_meet<1>(block, players);
  columns_meet<2, 1>(block, players);
  rows_meet<2>(block, players);
  columns_meet<4, 2>(block, players);
  rows_meet<4>(block, players);
  columns_meet<8, 4>(block, players);
  columns_meet<8, 8>(block, players);
  for (int row = 0; row < kStripRows; ++row)
    __builtin_memcpy(piece.whole[row] + column, block.whole[row], 4 * kBlockColumns);
  return {players.rest[0][0][0], players.name[0][0][0]};
}

// Neighbouring blocks meet until one player is left; an odd one out moves on without a match.
template <class T>
Player play_blocks(Player* players, std::int64_t n, T* out) {
  while (n > 1) {
    for (std::int64_t i = 0; i < n / 2; ++i) {
      const Match match = play(players[2 * i], players[2 * i + 1]);
      out[match.out] = static_cast<T>(out[match.out] + match.up);
      players[i] = match.winner;
    }
    if (n % 2) players[n / 2] = players[n - 1];
    n = (n + 1) / 2;
  }
  return players[0];
}

// Rounds a piece whose first pixel is at `at`, but for one player of each block.
template <class T>
bool round_piece(const RoundingJob& job, std::int64_t at, std::int64_t rows, std::int64_t columns, T* __restrict out,
                 Player* players) {
  Piece piece;
  const std::int64_t blocks = block_count(columns), width = blocks * kBlockColumns;
  bool fits = true;
  for (std::int64_t row = 0; row < kStripRows; ++row) {
    const std::int64_t n = row < rows ? columns : 0;
    if (n) fits &= split_pixels(job, job.frame + at + row * job.columns, n, piece.whole[row], piece.rest[row]);
    for (std::int64_t i = n; i < width; ++i) piece.rest[row][i] = piece.whole[row][i] = 0;
  }
  for (std::int64_t i = 0; i < blocks; ++i) {
    const Player winner = play_block(piece, i * kBlockColumns);
    const std::int64_t row = winner.pixel / kBlockColumns, column = winner.pixel % kBlockColumns;
    players[i] = {winner.rest, static_cast<std::int32_t>(at + row * job.columns + i * kBlockColumns + column)};
  }
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t i = 0; i < columns; ++i) out[at + row * job.columns + i] = static_cast<T>(piece.whole[row][i]);
  return fits;
}

template <class T>
bool round_rows(const RoundingJob& job, std::int64_t row, std::int64_t rows, Player* players, T* out, Player* root) {
  bool fits = true;
  for (std::int64_t left = 0; left < job.columns; left += kPiece) {
    const std::int64_t columns = job.columns - left < kPiece ? job.columns - left : kPiece;
    fits &= round_piece(job, row * job.columns + left, rows, columns, out, players + left / kBlockColumns);
  }
  *root = play_blocks(players, block_count(job.columns), out);
  return fits;
}

bool round_strip(const RoundingJob& job, std::int64_t row, std::int64_t rows, Player* scratch, StoredFrame out,
                 Player* root) {
  bool fits = true;
  with_integer(out.type, [&](auto zero) {
    fits = round_rows(job, row, rows, scratch, static_cast<decltype(zero)*>(out.pixels), root);
  });
  return fits;
}

void blend(const float* __restrict tile, const float* __restrict weights, float row_weight, std::int64_t n, bool first,
           float* __restrict out) {
  if (first) {
    for (std::int64_t i = 0; i < n; ++i) out[i] = weighted(row_weight, weights[i], tile[i]);
  } else {
    for (std::int64_t i = 0; i < n; ++i) out[i] += weighted(row_weight, weights[i], tile[i]);
  }
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

void sums(const float* in, std::int64_t n, SumLanes* lanes) {
  Doubles all[kParts], positive[kParts];
  __builtin_memcpy(all, lanes->all, sizeof all);
  __builtin_memcpy(positive, lanes->positive, sizeof positive);
  std::int64_t i = 0;
  for (; i + kSumLanes <= n; i += kSumLanes)
    for (int part = 0; part < kParts; ++part) {
      const Doubles value = doubled(load<Floats>(in + i + kDoubles * part));
      all[part] += value;
      positive[part] += none_negative(value);
    }
  __builtin_memcpy(lanes->all, all, sizeof all);
  __builtin_memcpy(lanes->positive, positive, sizeof positive);
  for (std::int64_t k = 0; k < n - i; ++k) {
    lanes->all[k] += in[i + k];
    lanes->positive[k] += not_negative(in[i + k]);
  }
}

template <bool clamp>
void scale_run(const float* in, std::int64_t n, float factor, float* out, double* lanes) {
  Doubles sum[kParts];
  __builtin_memcpy(sum, lanes, sizeof sum);
  std::int64_t i = 0;
  for (; i + kSumLanes <= n; i += kSumLanes)
    for (int part = 0; part < kParts; ++part) {
      const Floats value = load<Floats>(in + i + kDoubles * part);
      const Floats result = (clamp ? none_negative(value) : value) * factor;
      __builtin_memcpy(out + i + kDoubles * part, &result, sizeof result);
      sum[part] += doubled(result);
    }
  __builtin_memcpy(lanes, sum, sizeof sum);
  for (std::int64_t k = 0; k < n - i; ++k) {
    out[i + k] = scaled(in[i + k], factor, clamp);
    lanes[k] += out[i + k];
  }
}

void scale(const float* in, std::int64_t n, float factor, bool clamp, float* out, SumLanes* lanes) {
  clamp ? scale_run<true>(in, n, factor, out, lanes->all) : scale_run<false>(in, n, factor, out, lanes->all);
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
const Loops PHOTOPEAK_LOOPS = {
    PHOTOPEAK_LOOPS_NAME, stage, reverse, round_plain, round_strip, blend, moments, collect, extent, sums, scale};

}  // namespace photopeak
