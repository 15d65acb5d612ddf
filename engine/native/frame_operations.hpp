// What a stack of frames goes through before and after a model: one interface, a CPU and a CUDA implementation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>

// Marks what device code may call too; nothing for other compilers.
#ifdef __CUDACC__
#define PHOTOPEAK_DEVICE __host__ __device__
#else
#define PHOTOPEAK_DEVICE
#endif

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
  PHOTOPEAK_DEVICE std::int64_t pixels() const { return rows * columns; }
  PHOTOPEAK_DEVICE std::int64_t size() const { return frames * rows * columns; }
};

// physical = stored * slope + intercept
struct Rescale {
  double slope, intercept;
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

// Where the tiles of a frame start, with the weight of each of their rows and columns (nothing for splitting).
struct TileGrid {
  std::int64_t tile_rows, tile_columns;          // size of a tile
  std::int64_t down, across;                     // number of tiles
  const std::int64_t *row_start, *column_start;  // down, across values
  const float *row_weight, *column_weight;       // down x tile_rows, across x tile_columns values
};

// Where to put the sum of each frame as it came in and as it went out.
struct Totals {
  double* before;
  double* after;
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

  // The values at quantiles 1 - q and q of each frame, interpolated linearly.
  virtual void robust_scale(const float* frames, Shape shape, double q, float* low, float* high, int threads) const = 0;

  // (x - low) / (high - low); 0 where high equals low.
  virtual void normalise(const float* frames, Shape shape, const float* low, const float* high, float* out,
                         int threads) const = 0;

  virtual void split(const float* frames, Shape shape, const TileGrid& grid, float* tiles, int threads) const = 0;
  virtual void blend(const float* tiles, const TileGrid& grid, float* out, Shape shape, int threads) const = 0;

  virtual void statistics(const float* frames, Shape shape, FrameStatistics* out, int threads) const = 0;

  // Sets negative pixels to 0 and scales each frame to its target sum.
  virtual void conserve(const float* frames, Shape shape, const double* target, float* out, Totals totals,
                        int threads) const = 0;
};

const FrameOperations& cpu_operations();

// Throws DeviceError when there is no device that runs.
const FrameOperations& cuda_operations();

}  // namespace photopeak
