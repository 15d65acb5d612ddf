// The loops of rounding, once for each instruction set in a namespace of its own.
#pragma once

#include "frame_loops.hpp"

namespace photopeak::PHOTOPEAK_LEVEL {

// Both return whether every pixel fits.
bool round_plain(const RoundingJob& job, std::int64_t begin, std::int64_t end, StoredFrame out);

// At most kStripRows rows; scratch holds a player for each block_count(columns).
bool round_strip(const RoundingJob& job, std::int64_t row, std::int64_t rows, Player* scratch, StoredFrame out,
                 Player* root);

}  // namespace photopeak::PHOTOPEAK_LEVEL
