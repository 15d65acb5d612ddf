// What one element of a camera's planes, one pixel and one voxel get, the same on the CPU and on a GPU.
#pragma once

#include <cmath>

#include "camera_frame.hpp"

namespace photopeak {

// A volume turned to a view: [plane][line][z].
struct FrameShape {
  std::int64_t planes, lines, size;  // size: elements of a line
  PHOTOPEAK_DEVICE std::int64_t plane() const { return lines * size; }
};

// Where a line of the frame lies among those of the volume, of which there is a margin of one before x and y.
struct LinePlace {
  std::int64_t x, y;  // of the first neighbour; -1 in the margin, -2 outside
  float weight[4];
};

// Samples the volume [z][y][x] on the frame.
struct TurnVolume {
  FrameShape frame;
  const LinePlace* places;
  const float* left;  // by attenuation, or null
  float factor;
  std::int64_t wide, high;  // voxels along x and y
  const float* volume;
  float* turned;

  PHOTOPEAK_DEVICE float voxel(std::int64_t x, std::int64_t y, std::int64_t z) const {
    return x < 0 || y < 0 || x >= wide || y >= high ? 0.0f : volume[(z * high + y) * wide + x];
  }

  PHOTOPEAK_DEVICE void operator()(std::int64_t number) const {
    const LinePlace& p = places[number / frame.size];
    const std::int64_t z = number % frame.size;
    float value = 0.0f;
    if (p.x > -2)
      value = p.weight[0] * voxel(p.x, p.y, z) + p.weight[1] * voxel(p.x + 1, p.y, z) +
              p.weight[2] * voxel(p.x, p.y + 1, z) + p.weight[3] * voxel(p.x + 1, p.y + 1, z);
    turned[number] = value * factor * (left ? left[number] : 1.0f);
  }
};

// The transpose: collects for a voxel what the samples around it stand for.
struct TurnBack {
  FrameShape frame;
  const LinePlace* places;
  const float* left;
  float factor;
  std::int64_t wide, high;
  double plane[3], line[3];  // number = [0] + [1] * x + [2] * y of what passes the middle of a voxel
  double plane_reach, line_reach;
  const float* turned;
  float* volume;

  PHOTOPEAK_DEVICE static std::int64_t from(double bound, std::int64_t size) {
    bound = ceil(bound);
    return bound < 0 ? 0 : bound > static_cast<double>(size) ? size : static_cast<std::int64_t>(bound);
  }

  PHOTOPEAK_DEVICE void operator()(std::int64_t number) const {
    const std::int64_t x = number % wide, y = number / wide % high, z = number / (wide * high);
    const double deep = plane[0] + plane[1] * static_cast<double>(x) + plane[2] * static_cast<double>(y);
    const double across = line[0] + line[1] * static_cast<double>(x) + line[2] * static_cast<double>(y);
    float total = 0.0f;
    for (std::int64_t j = from(deep - plane_reach, frame.planes); j < from(deep + plane_reach, frame.planes); ++j)
      for (std::int64_t i = from(across - line_reach, frame.lines); i < from(across + line_reach, frame.lines); ++i) {
        const LinePlace& p = places[j * frame.lines + i];
        const std::int64_t right = x - p.x, below = y - p.y;
        if (p.x < -1 || right < 0 || right > 1 || below < 0 || below > 1) continue;
        const std::int64_t at = (j * frame.lines + i) * frame.size + z;
        total += p.weight[right + 2 * below] * turned[at] * (left ? left[at] : 1.0f);
      }
    volume[number] += total * factor;
  }
};

// What attenuation leaves: one line of sight after the other, from near to far.
struct Attenuate {
  FrameShape frame;
  float step;  // between planes [mm]
  const float* map;
  float* left;

  PHOTOPEAK_DEVICE void operator()(std::int64_t number) const {
    float before = 0.0f;
    for (std::int64_t j = 0; j < frame.planes; ++j) {
      const std::int64_t at = j * frame.plane() + number;
      const float half = map[at] * step / 2;
      left[at] = expf(-(before + half));
      before += 2 * half;
    }
  }
};

// Writes one plane, or the sum of two.
struct AddPlane {
  const float *one, *other;  // other: or null
  float* to;

  PHOTOPEAK_DEVICE void operator()(std::int64_t number) const {
    to[number] = other ? one[number] + other[number] : one[number];
  }
};

// Blurs a plane along its lines or across, with zeros outside.
struct BlurPlane {
  FrameShape frame;
  Blur blur;
  bool across;
  const float* from;
  float* to;

  PHOTOPEAK_DEVICE void operator()(std::int64_t number) const {
    const float* const weights = across ? blur.across : blur.along;
    const std::int64_t step = across ? frame.size : 1, place = across ? number / frame.size : number % frame.size;
    const std::int64_t count = across ? frame.lines : frame.size;
    float sum = weights[0] * from[number];
    for (std::int64_t k = 1; k <= kReach; ++k) {
      const float before = place >= k ? from[number - k * step] : 0.0f;
      const float after = place + k < count ? from[number + k * step] : 0.0f;
      sum += weights[k] * (before + after);
    }
    to[number] = sum;
  }
};

// Which pixels read an element: numbers from begin to before end.
struct Readers {
  std::int32_t begin, end;
};

struct PixelMap {
  FrameShape frame;
  const Reading *across, *along;
  std::int64_t wide, high;  // pixels across and along
  bool down;

  PHOTOPEAK_DEVICE std::int64_t pixel(std::int64_t i, std::int64_t j) const {
    return down ? j * wide + i : i * high + j;
  }
};

struct ReadPlane {
  PixelMap map;
  const float* plane;
  float* image;

  PHOTOPEAK_DEVICE float element(std::int64_t line, std::int64_t z) const {
    return line < 0 || z < 0 || line >= map.frame.lines || z >= map.frame.size ? 0.0f
                                                                               : plane[line * map.frame.size + z];
  }

  PHOTOPEAK_DEVICE void operator()(std::int64_t number) const {
    const std::int64_t i = number / map.high, j = number % map.high;
    const Reading a = map.across[i], b = map.along[j];
    const float near = element(a.place, b.place) * (1 - b.share) + element(a.place, b.place + 1) * b.share;
    const float far = element(a.place + 1, b.place) * (1 - b.share) + element(a.place + 1, b.place + 1) * b.share;
    image[map.pixel(i, j)] = near * (1 - a.share) + far * a.share;
  }
};

struct WritePlane {
  PixelMap map;
  const Readers *of_lines, *of_elements;
  const float* image;
  float* plane;

  PHOTOPEAK_DEVICE static float weight_of(const Reading& reading, std::int64_t place) {
    return reading.place == place ? 1 - reading.share : reading.place + 1 == place ? reading.share : 0.0f;
  }

  PHOTOPEAK_DEVICE void operator()(std::int64_t number) const {
    const std::int64_t line = number / map.frame.size, z = number % map.frame.size;
    float total = 0.0f;
    for (std::int64_t i = of_lines[line].begin; i < of_lines[line].end; ++i)
      for (std::int64_t j = of_elements[z].begin; j < of_elements[z].end; ++j)
        total += weight_of(map.across[i], line) * weight_of(map.along[j], z) * image[map.pixel(i, j)];
    plane[number] = total;
  }
};

}  // namespace photopeak
