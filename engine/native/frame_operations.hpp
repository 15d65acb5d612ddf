// What a stack of frames goes through before and after a model: one interface, a CPU and a CUDA implementation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>

namespace photopeak {

struct InputError : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct DeviceError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum class Stored { u8, i8, u16, i16, u32, i32 };

// A C-contiguous stack.
struct Shape {
  std::int64_t frames, rows, columns;
  std::int64_t pixels() const { return rows * columns; }
  std::int64_t size() const { return frames * rows * columns; }
};

// physical = stored * slope + intercept
struct Rescale {
  double slope, intercept;
};

class FrameOperations {
 public:
  virtual ~FrameOperations() = default;

  virtual void to_float(const void* stored, Stored type, Shape shape, const Rescale* rescale, float* out,
                        int threads) const = 0;

  // Throws InputError when a pixel is not finite or outside of what `type` holds.
  virtual void to_stored(const float* frames, Shape shape, const Rescale* rescale, Stored type, bool keep_sum,
                         void* out, int threads) const = 0;

  // Copies the top left corner that both share; what `to` has below and to the right of `from` is reflected.
  virtual void resize(const float* frames, Shape from, float* out, Shape to, int threads) const = 0;
};

const FrameOperations& cpu_operations();
const FrameOperations& cuda_operations();

}  // namespace photopeak
