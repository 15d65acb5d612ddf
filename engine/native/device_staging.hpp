// What lies where in the memory that goes over to the device, and packing frames into it. The same for all devices.
#pragma once

#include "device_pipeline.hpp"

namespace photopeak {

// So that every array starts where vectors may.
constexpr std::int64_t kAlignment = 256;

PHOTOPEAK_DEVICE constexpr std::int64_t aligned(std::int64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// Offsets in bytes of what belongs to each frame, and of the pixels behind it.
struct Staged {
  std::int64_t rescale, target, gain, contrast, pixels;

  explicit Staged(std::int64_t frames)
      : rescale(0),
        target(aligned(rescale + frames * std::int64_t{sizeof(Rescale)})),
        gain(aligned(target + frames * std::int64_t{sizeof(double)})),
        contrast(aligned(gain + frames * std::int64_t{sizeof(double)})),
        pixels(aligned(contrast + frames * std::int64_t{sizeof(Contrast)})) {}
};

// A block of such memory, on whichever side.
struct StagedBlock {
  char* bytes;
  Staged at;

  Rescale* rescale() const { return reinterpret_cast<Rescale*>(bytes + at.rescale); }
  double* target() const { return reinterpret_cast<double*>(bytes + at.target); }
  double* gain() const { return reinterpret_cast<double*>(bytes + at.gain); }
  Contrast* contrast() const { return reinterpret_cast<Contrast*>(bytes + at.contrast); }
  void* pixels() const { return bytes + at.pixels; }
};

// Bytes of a block whose pixels are of this type.
std::int64_t staged_bytes(Shape shape, Stored type);

// Copies a batch into a block that has room for float32; returns the type of its pixels there, u16 if all of them are.
Stored pack(const Batch& batch, Shape shape, const StagedBlock& block, int threads);

// Copies with several threads where that pays.
void copy(const float* from, std::int64_t n, float* to, int threads);

}  // namespace photopeak
