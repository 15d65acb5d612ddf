// Exact quantiles by radix selection: three counting passes, whatever the values.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "frame_loops.hpp"

namespace photopeak {

// Pixels of one frame counted by their first 11 bits, in the order of the values.
struct PrefixCounts {
  std::uint32_t pixels[kBins];
};

constexpr std::uint32_t kNothingAbove = 0xffffffffu;

inline std::uint32_t prefix_at(std::uint32_t bin) { return bin < kBins / 2 ? kBins - 1 - bin : bin - kBins / 2; }

// Infinities and NaN have all bits of the exponent set; four prefixes of each sign do.
inline bool has_non_finite(const PrefixCounts& counts) {
  std::uint32_t found = 0;
  for (int i = 0; i < 4; ++i) found |= counts.pixels[i] | counts.pixels[kBins - 1 - i];
  return found != 0;
}

// Where quantile q of n values lies: between rank `below` and the next, `weight` of the way.
struct Rank {
  std::int64_t below;
  double weight;
};

inline Rank rank_of(double q, std::int64_t n) {
  const double position = q * static_cast<double>(n - 1);
  const std::int64_t below = static_cast<std::int64_t>(position);
  return {below, position - static_cast<double>(below)};
}

// The bin that holds `rank`, which becomes the rank inside that bin. Looks at blocks first.
inline std::uint32_t find_bin(const std::uint32_t* counts, std::int64_t& rank) {
  constexpr std::uint32_t block = 64;
  std::uint32_t bin = 0;
  for (;; bin += block) {
    std::uint32_t pixels = 0;
    for (std::uint32_t i = 0; i < block; ++i) pixels += counts[bin + i];
    if (rank < pixels) break;
    rank -= pixels;
  }
  while (rank >= counts[bin]) rank -= counts[bin++];
  return bin;
}

inline float float_of(std::uint32_t key) {
  const std::uint32_t bits = key ^ (key >> 31 ? 0x80000000u : 0xffffffffu);
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

class Quantiles {
 public:
  // False when a pixel is not finite.
  bool load(const float* frame, std::int64_t n) {
    frame_ = frame;
    n_ = n;
    keys_.resize(static_cast<std::size_t>(n) + 16);
    const char* bytes = reinterpret_cast<const char*>(frame);
    count(n, [bytes](std::int64_t i) {
      std::uint32_t bits;
      std::memcpy(&bits, bytes + 4 * i, sizeof bits);
      return bits >> kPrefixShift;
    });
    for (int bin = 0; bin < kBins / 2; ++bin) {
      prefixes_.pixels[bin] = counts_[0][kBins - 1 - bin];
      prefixes_.pixels[bin + kBins / 2] = counts_[0][bin];
    }
    return !has_non_finite(prefixes_);
  }

  float at(double q) {
    const Rank rank = rank_of(q, n_);
    std::int64_t inside = rank.below;
    const std::uint32_t bin = find_bin(prefixes_.pixels, inside);
    const bool one_value = is_uniform(bin), last = inside + 1 == prefixes_.pixels[bin];
    std::int64_t n = one_value ? 1 : collect(bin, 0);
    std::uint32_t next = kNothingAbove;
    if (last) next = first_of_next(bin, n);
    for (const int shift : {kMiddleShift, 0})
      if (!one_value && !uniform(n)) n = narrow(n, shift, inside, next);
    const double below = float_of(keys_[0]);
    if (rank.weight == 0.0 || next == kNothingAbove) return static_cast<float>(below);
    return static_cast<float>(below + (float_of(next) - below) * rank.weight);
  }

 private:
  // Four tables in turn, because neighbours often fall into one bin and would wait for each other; one for a few.
  template <class Bin>
  void count(std::int64_t n, Bin&& bin) {
    const int tables = n < 8192 ? 1 : 4;
    std::memset(counts_, 0, static_cast<std::size_t>(tables) * sizeof counts_[0]);
    std::int64_t i = 0;
    if (tables == 4)
      for (; i + 4 <= n; i += 4)
        for (int k = 0; k < 4; ++k) ++counts_[k][bin(i + k)];
    for (; i < n; ++i) ++counts_[0][bin(i)];
    if (tables == 4)
      for (int b = 0; b < kBins; ++b) counts_[0][b] += counts_[1][b] + counts_[2][b] + counts_[3][b];
  }

  // Zeros, and all the frames that hold few different values, are done at once.
  bool uniform(std::int64_t n) const {
    const Extent extent = loops().extent(keys_.data(), n);
    return extent.least == extent.most;
  }

  // Whether one value, such as 0, fills a bin with so many pixels that copying them would take long; then it is the
  // key.
  bool is_uniform(std::uint32_t bin) {
    const std::uint32_t prefix = prefix_at(bin);
    std::uint32_t bits;
    if (64 * std::int64_t{prefixes_.pixels[bin]} < n_ || !loops().uniform(frame_, n_, prefix, &bits)) return false;
    keys_[0] = bits ^ flip_of(bits);
    return true;
  }

  std::int64_t collect(std::uint32_t bin, std::int64_t at) {
    const std::uint32_t prefix = prefix_at(bin);
    keys_.resize(std::max(keys_.size(), static_cast<std::size_t>(at + prefixes_.pixels[bin]) + 16));
    return loops().collect(frame_, n_, prefix, flip_of(prefix << kPrefixShift), keys_.data() + at);
  }

  std::uint32_t smallest(std::int64_t begin, std::int64_t n) const {
    std::uint32_t least = kNothingAbove;
    for (std::int64_t i = begin; i < begin + n; ++i) least = keys_[i] < least ? keys_[i] : least;
    return least;
  }

  // The smallest key above those of `bin`, which take the first n places.
  std::uint32_t first_of_next(std::uint32_t bin, std::int64_t n) {
    while (++bin < kBins && prefixes_.pixels[bin] == 0) continue;
    return bin == kBins ? kNothingAbove : smallest(n, collect(bin, n));
  }

  // Keeps the keys that agree with the one at rank `inside` from bit `shift` on. When that is the last of those kept,
  // `next` becomes the smallest key above.
  std::int64_t narrow(std::int64_t n, int shift, std::int64_t& inside, std::uint32_t& next) {
    count(n, [&](std::int64_t i) { return keys_[i] >> shift & (kBins - 1); });
    const std::uint32_t digit = find_bin(counts_[0], inside);
    std::int64_t kept = 0;
    std::uint32_t above = kNothingAbove;
    for (std::int64_t i = 0; i < n; ++i) {
      const std::uint32_t key = keys_[i], other = key >> shift & (kBins - 1);
      above = other > digit && key < above ? key : above;
      keys_[kept] = key;
      kept += other == digit;
    }
    if (inside + 1 == kept && above != kNothingAbove) next = above;
    return kept;
  }

  const float* frame_ = nullptr;
  std::int64_t n_ = 0;
  std::vector<std::uint32_t> keys_;
  PrefixCounts prefixes_;
  std::uint32_t counts_[4][kBins];
};

}  // namespace photopeak
