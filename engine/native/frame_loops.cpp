// Compiled several times, with PHOTOPEAK_LOOPS naming the table to fill. Uses nothing of the standard library: an
// inline function compiled for AVX-512 here could replace the portable copy that the linker finds elsewhere.
#include "frame_loops.hpp"

namespace photopeak {
namespace {

template <class T>
void convert(const T* __restrict stored, std::int64_t n, Rescale rescale, float* __restrict out) {
  if (rescale.slope == 1.0 && rescale.intercept == 0.0) {
    for (std::int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(stored[i]);
  } else {
    for (std::int64_t i = 0; i < n; ++i) out[i] = to_physical(stored[i], rescale.slope, rescale.intercept);
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

template <class T>
bool split_rows(const RoundingJob& job, std::int64_t begin, std::int64_t n, T* __restrict out,
                std::int32_t* __restrict rest, std::int32_t* __restrict pixel) {
  const RoundingJob j = job;
  const float* __restrict frame = j.frame + begin;
  std::int32_t misfits = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const Split value = split_value(frame[i], j.inverse_slope, j.intercept, j.range);
    out[begin + i] = static_cast<T>(value.whole);
    rest[i] = value.rest;
    pixel[i] = static_cast<std::int32_t>(begin + i);
    misfits |= value.misfit;
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

// Halves rows and columns in turn until one player is left; an odd one out moves on without a match.
template <class T>
Player play_strip(StripScratch s, std::int64_t rows, std::int64_t columns, T* out) {
  const std::int64_t stride = columns;
  int now = 0;
  const auto pass_on = [&](std::int64_t from, std::int64_t to) {
    s.rest[1 - now][to] = s.rest[now][from];
    s.pixel[1 - now][to] = s.pixel[now][from];
  };
  while (rows > 1 || columns > 1) {
    if (rows > 1) {
      for (std::int64_t r = 0; r < rows / 2; ++r)
        play_row<1>(s.rest[now] + 2 * r * stride, s.pixel[now] + 2 * r * stride, stride, columns,
                    s.rest[1 - now] + r * stride, s.pixel[1 - now] + r * stride, out);
      if (rows % 2)
        for (std::int64_t c = 0; c < columns; ++c) pass_on((rows - 1) * stride + c, rows / 2 * stride + c);
      rows = (rows + 1) / 2;
      now = 1 - now;
    }
    if (columns > 1) {
      for (std::int64_t r = 0; r < rows; ++r) {
        play_row<2>(s.rest[now] + r * stride, s.pixel[now] + r * stride, 1, columns / 2, s.rest[1 - now] + r * stride,
                    s.pixel[1 - now] + r * stride, out);
        if (columns % 2) pass_on(r * stride + columns - 1, r * stride + columns / 2);
      }
      columns = (columns + 1) / 2;
      now = 1 - now;
    }
  }
  return {s.rest[now][0], s.pixel[now][0]};
}

bool round_strip(const RoundingJob& job, std::int64_t row, std::int64_t rows, StripScratch scratch, StoredFrame out,
                 Player* root) {
  bool fits = true;
  with_type(out.type, [&](auto zero) {
    auto* pixels = static_cast<decltype(zero)*>(out.pixels);
    fits = split_rows(job, row * job.columns, rows * job.columns, pixels, scratch.rest[0], scratch.pixel[0]);
    *root = play_strip(scratch, rows, job.columns, pixels);
  });
  return fits;
}

}  // namespace

extern const Loops PHOTOPEAK_LOOPS;
const Loops PHOTOPEAK_LOOPS = {PHOTOPEAK_LOOPS_NAME, to_float, round_plain, round_strip};

}  // namespace photopeak
