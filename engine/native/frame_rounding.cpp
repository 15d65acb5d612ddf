// Rounding that keeps the sum; compiled several times, as frame_loops.cpp is, and like it without the standard library.
#include "frame_rounding.hpp"

#include "frame_vectors.hpp"

namespace photopeak::PHOTOPEAK_LEVEL {
namespace {

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
    // Eight rows at once are more than the processor follows by itself.
    for (std::int64_t i = 0; i < n; i += 16) __builtin_prefetch(job.frame + at + row * job.columns + kPiece + i);
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

}  // namespace

bool round_plain(const RoundingJob& job, std::int64_t begin, std::int64_t end, StoredFrame out) {
  bool fits = true;
  with_integer(out.type,
               [&](auto zero) { fits = round_pixels(job, begin, end, static_cast<decltype(zero)*>(out.pixels)); });
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

}  // namespace photopeak::PHOTOPEAK_LEVEL
