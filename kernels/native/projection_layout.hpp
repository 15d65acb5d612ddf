// Volumes in the order that the loops want, and back.
#pragma once

#include <algorithm>

#include "parallel.hpp"
#include "projection_loops.hpp"
#include "projection_rays.hpp"
#include "projection_scratch.hpp"

namespace photopeak {

constexpr std::int64_t kBlock = 16;  // rows of a volume that one thread moves at once

// Volumes as the rays along an axis need them, see Planes.
class Layout {
 public:
  Layout(const VolumeGrid& grid, int axis)
      : grid_(grid),
        planes_(planes_along(axis, grid)),
        inner_is_z_(axis != 2),
        filled_(scratch_size(axis, grid)),
        added_(scratch_size(axis, grid)) {}

  const Planes& planes() const { return planes_; }
  bool suits(int axis) const { return inner_is_z_ == (axis != 2); }

  // A copy with margins of zeros.
  ScratchPool::Loan filled(const float* volume, int threads) {
    ScratchPool::Loan loan = filled_.take();
    each_row(
        [&](Transposition shape, std::int64_t row, std::int64_t place) {
          if (inner_is_z_) {
            projection_loops().transpose(shape, volume + row, loan.get() + place);
          } else {
            std::copy_n(volume + row, grid_.size[0], loan.get() + place);
          }
        },
        threads);
    return loan;
  }

  // As it was left by whoever had it before.
  ScratchPool::Loan raw() { return added_.take(); }

  // Zeros to add to; the margins take what misses the volume.
  ScratchPool::Loan cleared(int threads) {
    ScratchPool::Loan loan = raw();
    const std::int64_t size = 1 << 16;
    parallel_for(pieces(loan.size(), size), threads, [&](std::int64_t i) {
      std::fill_n(loan.get() + i * size, std::min(size, loan.size() - i * size), 0.0f);
    });
    return loan;
  }

  // Writes what was added to a volume, or adds it.
  void collect(const float* from, float* volume, bool add, int threads) const {
    each_row(
        [&](Transposition shape, std::int64_t row, std::int64_t place) {
          if (inner_is_z_) {
            projection_loops().transpose_back(shape, from + place, volume + row, add);
          } else {
            for (std::int64_t x = 0; x < grid_.size[0]; ++x)
              volume[row + x] = from[place + x] + (add ? volume[row + x] : 0.0f);
          }
        },
        threads);
  }

 private:
  // Calls body(shape, first element in the volume, first element here) for pieces that do not overlap.
  template <class Body>
  void each_row(Body&& body, int threads) const {
    const std::int64_t rows = inner_is_z_ ? grid_.size[1] : grid_.size[1] * grid_.size[2];
    const Planes& planes = planes_;
    const std::int64_t wide = inner_is_z_ ? (planes.axis == 0 ? planes.a_stride : planes.stride) : 0;
    const std::int64_t narrow = inner_is_z_ ? (planes.axis == 0 ? planes.stride : planes.a_stride) : 0;
    parallel_for(pieces(rows, kBlock), threads, [&](std::int64_t block) {
      for (std::int64_t row = block * kBlock; row < std::min(rows, (block + 1) * kBlock); ++row) {
        if (inner_is_z_) {
          const std::int64_t place = kAligned + (row + kMarginBefore) * wide + kMarginBefore * narrow;
          body({grid_.size[2], grid_.size[0], grid_.size[0] * grid_.size[1], narrow}, row * grid_.size[0], place);
        } else {
          const std::int64_t z = row / grid_.size[1], y = row % grid_.size[1];
          body({}, row * grid_.size[0], kAligned + z * planes.stride + (y + kMarginBefore) * planes.a_stride);
        }
      }
    });
  }

  VolumeGrid grid_;
  Planes planes_;
  bool inner_is_z_;
  ScratchPool filled_, added_;
};

}  // namespace photopeak
