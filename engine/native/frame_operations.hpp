// What a stack of frames goes through before and after a model: one interface, a CPU and a CUDA implementation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "errors.hpp"

// Marks what device code may call too; nothing for other compilers.
#ifdef __CUDACC__
#define PHOTOPEAK_DEVICE __host__ __device__
#else
#define PHOTOPEAK_DEVICE
#endif

namespace photopeak {

enum class Stored { u8, i8, u16, i16, u32, i32, f32 };  // f32: values that are physical already, or nearly

// A C-contiguous stack.
struct Shape {
  std::int64_t frames, rows, columns;
  PHOTOPEAK_DEVICE std::int64_t pixels() const { return rows * columns; }
  PHOTOPEAK_DEVICE std::int64_t size() const { return frames * rows * columns; }
};

// physical = stored * slope + intercept
struct Rescale {
  double slope, intercept;
};

// normalised = (physical - low) * inverse_width; {0, 1} changes nothing.
struct Contrast {
  float low, inverse_width;
};

// Where on an axis the same tiles have weight, in enlarged pixels.
struct Span {
  std::int64_t begin, end;
  std::vector<std::int64_t> tiles;
  bool plain;  // one tile, of weight 1
};

// The tiles along one axis of a frame, which goes on beyond its end as its mirror image.
struct Axis {
  std::int64_t length, tile;        // of the frame, of a tile
  std::vector<std::int64_t> start;  // of each tile
  std::vector<float> weight;        // of each pixel of each tile, enlarged: start.size() x (scale * tile)
  std::vector<Span> spans;          // from 0 to scale * length
};

// Where the tiles of a frame lie, row by row, and how they are put together again when they come back enlarged.
struct Layout {
  Axis rows, columns;
  std::int64_t scale;
  std::int64_t tiles() const { return static_cast<std::int64_t>(rows.start.size() * columns.start.size()); }
};

// Numbers of the first tile to make and of how many; frame by frame they are counted from 0.
struct Choice {
  std::int64_t first, count;
};

// What stage does to each frame of a stack.
struct Staging {
  const Rescale* rescale;
  const Contrast* contrast;
  Choice tiles;
};

// What one pass over a frame yields. Pixels that are not finite are counted and taken as 0 otherwise; the Anscombe
// domain is z = 2 sqrt(max(x, 0) + 3/8), in which Poisson noise has variance 1.
struct FrameStatistics {
  double sum, minimum, maximum;
  std::int64_t nonzero, non_finite;  // numbers of pixels
  double non_integer;                // fraction of pixels
  double anscombe_mean, anscombe_variance;
  double difference_1, difference_2;  // mean squared difference of z to the neighbours 1 and 2 pixels right and below
};

// What a frame keeps of its source. With its sum it loses its negative pixels; a mean is kept where both are positive.
enum class Keep { sum, mean, none };

// What finish does to each frame of a stack: `gain` takes the values of the tiles to those of the target, a sum.
struct Finishing {
  Keep keep;
  const double* target;
  const double* gain;
};

// Where to put the sum of each frame as it came in and as it went out.
struct Totals {
  double* before;
  double* after;
};

class FrameOperations {
 public:
  virtual ~FrameOperations() = default;

  // Writes the chosen tiles of every frame, rescaled and normalised.
  virtual void stage(const void* pixels, Stored type, Shape shape, const Layout& layout, const Staging& staging,
                     float* tiles, int threads) const = 0;

  // Puts the tiles of every frame together, each pixel once, and scales it so that it keeps what it should.
  virtual void finish(const float* tiles, const Layout& layout, const Finishing& finishing, Shape shape, float* out,
                      Totals totals, int threads) const = 0;

  // Throws InputError when a pixel is not finite or outside of what `type` holds.
  virtual void to_stored(const float* frames, Shape shape, const Rescale* rescale, Stored type, bool keep_sum,
                         void* out, int threads) const = 0;

  // The values at quantiles 1 - q and q of each frame, interpolated linearly.
  virtual void robust_scale(const float* frames, Shape shape, double q, float* low, float* high, int threads) const = 0;

  virtual void statistics(const float* frames, Shape shape, FrameStatistics* out, int threads) const = 0;
};

const FrameOperations& cpu_operations();

// Throws DeviceError when there is no device that runs.
const FrameOperations& cuda_operations();

}  // namespace photopeak
