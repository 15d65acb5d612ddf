// A volume as a camera sees it: planes parallel to the detector, made of lines along z.
#pragma once

#include <vector>

#include "camera.hpp"

namespace photopeak {

// Where a line of a plane lies among the lines of the volume: four neighbours with weights, or exactly one.
struct FrameLine {
  std::int64_t place;  // of the first neighbour; -1 outside the volume
  float weight[4];     // of it, the next along x, the next along y, and the next along both
};

// Which samples of an axis of a plane a row or column of the image reads, with zero beyond the ends.
struct Reading {
  std::int64_t place;  // of the first of two, which may be -1 or the last
  float share;         // of the second
};

// How far the kernel of a blur reaches to both sides.
constexpr int kReach = 3;

// A symmetric kernel along the lines and across, given by the weight of the middle and of what lies beside it.
struct Blur {
  float along[kReach + 1], across[kReach + 1];
};

struct CameraFrame {
  bool exact;                  // every line is a line of the volume
  std::int64_t planes, lines;  // planes from near to far
  double corner[2], deep[2],
      wide[2];                    // x and y of line 0 of plane 0, and the steps to the next plane and line [voxels]
  std::vector<FrameLine> places;  // plane by plane
  std::vector<std::vector<Blur>> blurs;  // 0: of the nearest plane; k: what plane k has more than plane k - 1
  std::vector<Reading> across, along;    // for each step of the detector across the lines, and along them
  bool down;                             // columns of the image run along the lines
  float step;                            // between planes [mm]
};

CameraFrame frame_of(const VolumeGrid& grid, const Detector& detector, const Camera& camera);

}  // namespace photopeak
