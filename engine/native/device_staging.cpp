#include "device_staging.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "frame_parallel.hpp"
#include "frame_results.hpp"

namespace photopeak {
namespace {

// Whether each float is the one that stands for a 16-bit integer, to the bit: -0 is none.
bool pack_whole(const float* from, std::int64_t n, std::uint16_t* to) {
  std::uint32_t misfit = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const float above = from[i] > 0.0f ? from[i] : 0.0f, value = above < 65535.0f ? above : 65535.0f;
    const std::int32_t whole = static_cast<std::int32_t>(value);
    const float back = static_cast<float>(whole);
    std::uint32_t given, made;
    std::memcpy(&given, &from[i], sizeof given);
    std::memcpy(&made, &back, sizeof made);
    misfit |= given ^ made;
    to[i] = static_cast<std::uint16_t>(whole);
  }
  return misfit == 0;
}

template <class T>
void copy_pieces(const T* from, std::int64_t n, T* to, int threads) {
  parallel_for(pieces(n, kChunk), n, threads, [&](std::int64_t i) {
    std::copy_n(from + i * kChunk, std::min(kChunk, n - i * kChunk), to + i * kChunk);
  });
}

// Stops at the first piece that does not fit: most frames that are not counts show it at once.
bool pack_pieces(const float* from, std::int64_t n, std::uint16_t* to, int threads) {
  std::atomic<bool> fits{true};
  parallel_for(pieces(n, kChunk), n, threads, [&](std::int64_t i) {
    if (!fits.load(std::memory_order_relaxed)) return;
    if (!pack_whole(from + i * kChunk, std::min(kChunk, n - i * kChunk), to + i * kChunk))
      fits.store(false, std::memory_order_relaxed);
  });
  return fits;
}

}  // namespace

std::int64_t staged_bytes(Shape shape, Stored type) {
  return Staged(shape.frames).pixels + shape.size() * bytes_of(type);
}

Stored pack(const Batch& batch, Shape shape, const StagedBlock& block, int threads) {
  std::copy_n(batch.rescale, shape.frames, block.rescale());
  std::copy_n(batch.contrast, shape.frames, block.contrast());
  std::copy_n(batch.target, shape.frames, block.target());
  std::copy_n(batch.gain, shape.frames, block.gain());
  auto* const whole = static_cast<std::uint16_t*>(block.pixels());
  if (batch.type == Stored::u16) {
    copy_pieces(static_cast<const std::uint16_t*>(batch.pixels), shape.size(), whole, threads);
    return Stored::u16;
  }
  const float* const pixels = static_cast<const float*>(batch.pixels);
  if (pack_pieces(pixels, shape.size(), whole, threads)) return Stored::u16;
  copy_pieces(pixels, shape.size(), static_cast<float*>(block.pixels()), threads);
  return Stored::f32;
}

void copy(const float* from, std::int64_t n, float* to, int threads) { copy_pieces(from, n, to, threads); }

}  // namespace photopeak
