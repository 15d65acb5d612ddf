// Parallel views along the axes of the volume whose pixels are as large as voxels and lie on them: rays are rows of
// voxels, and projections are sums.
#pragma once

#include "projection.hpp"

namespace photopeak {

// Null if one of the detectors is not of the kind.
std::unique_ptr<Projection> orthogonal_projection(const VolumeGrid& grid, const std::vector<Detector>& detectors);

}  // namespace photopeak
