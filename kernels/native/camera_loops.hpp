// The inner loops of a gamma camera, compiled once for each instruction set and chosen at the first call.
#pragma once

#include "camera_frame.hpp"

namespace photopeak {

// A plane of lines along z: each goes on to `pitch` with zeros, and there are kReach lines of zeros on both sides.
struct CameraPlane {
  std::int64_t lines, size, pitch;
  float* values;  // of line 0
};

// What one plane of the volume has to do with the plane.
struct CameraDepth {
  const FrameLine* lines;
  const float* left;  // by attenuation, line by line as the plane; null for all
  float factor;
  bool exact;
  std::int64_t wide, narrow;  // from line to line of the volume along y and x
};

struct CameraLoops {
  // Scratch holds 2 * kReach + 1 lines.
  void (*blur)(const CameraPlane& plane, const Blur& blur, float* scratch);
  // Adds a plane of the volume.
  void (*add)(const CameraPlane& plane, const CameraDepth& depth, const float* volume);
  // Adds the plane to one of the volume, or writes it if lines are those of the volume.
  void (*give)(const CameraPlane& plane, const CameraDepth& depth, float* volume);
};

extern const CameraLoops camera_loops_baseline;
#ifdef PHOTOPEAK_X86_LOOPS
extern const CameraLoops camera_loops_avx2;
extern const CameraLoops camera_loops_avx512;
#endif

const CameraLoops& camera_loops();

}  // namespace photopeak
