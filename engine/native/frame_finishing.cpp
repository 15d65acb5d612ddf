// Two passes over a frame, one for its sum and one that scales it. Where one tile gives all pixels both read them
// there; only where tiles meet are they blended, into their place in the frame, before.
#include "frame_finishing.hpp"

#include <algorithm>
#include <vector>

#include "frame_loops.hpp"
#include "frame_parallel.hpp"
#include "frame_results.hpp"

namespace photopeak {
namespace {

// Columns begin..end-1, and the one tile that gives all of them; kMet where tiles meet.
struct Part {
  std::int64_t begin, end, tile;
};

constexpr std::int64_t kMet = -1;

// An area of the frame, the tile down and across that gives all of it, and the piece of work that it belongs to.
struct Patch {
  std::int64_t row, column;
  Area area;
  std::int64_t down, across, piece;
};

std::int64_t rows_of_piece(Shape shape) { return std::max<std::int64_t>(1, kChunk / shape.columns); }

// Cuts columns where one tile takes over from another, at multiples of the lanes, which leaves no rest to add.
std::vector<Part> parts_of(const Axis& across, std::int64_t columns) {
  std::vector<Part> parts;
  const auto append = [&](std::int64_t end, std::int64_t tile) {
    const std::int64_t begin = parts.empty() ? 0 : parts.back().end;
    if (begin < end) parts.push_back({begin, end, tile});
  };
  for (const Span& span : across.spans) {
    const std::int64_t begin = pieces(span.begin, kSumLanes) * kSumLanes;
    const std::int64_t end = span.end == columns ? columns : span.end / kSumLanes * kSumLanes;
    if (!span.plain || begin >= end) continue;
    append(begin, kMet);
    append(end, span.tiles[0]);
  }
  append(columns, kMet);
  return parts;
}

// Where a tile, counted down and across, has the pixel of a frame.
Rows<const float> tile_at(const FinishJob& job, std::int64_t down, std::int64_t across, std::int64_t row,
                          std::int64_t column) {
  const Layout& layout = *job.layout;
  const std::int64_t height = layout.scale * layout.rows.tile, width = layout.scale * layout.columns.tile;
  const std::int64_t tile = down * static_cast<std::int64_t>(layout.columns.start.size()) + across;
  const std::int64_t top = layout.scale * layout.rows.start[down], left = layout.scale * layout.columns.start[across];
  return {job.tiles + (tile * height + row - top) * width + column - left, width};
}

// Calls body(patch) for all areas of rows begin..end-1.
template <class Body>
void for_rows(const FinishJob& job, const std::vector<Part>& parts, std::int64_t piece, std::int64_t begin,
              std::int64_t end, Body&& body) {
  const std::int64_t columns = job.shape.columns;
  for (const Span& span : job.layout->rows.spans) {
    const std::int64_t top = std::max(begin, span.begin), rows = std::min(end, span.end) - top;
    if (rows <= 0) continue;
    if (!span.plain) {
      body(Patch{top, 0, {rows, columns}, kMet, kMet, piece});
      continue;
    }
    for (const Part& part : parts) {
      const std::int64_t down = part.tile == kMet ? kMet : span.tiles[0];
      body(Patch{top, part.begin, {rows, part.end - part.begin}, down, part.tile, piece});
    }
  }
}

template <class Body>
void for_patches(const FinishJob& job, int threads, Body&& body) {
  const std::int64_t rows = rows_of_piece(job.shape);
  const std::vector<Part> parts = parts_of(job.layout->columns, job.shape.columns);
  parallel_for(pieces(job.shape.rows, rows), job.shape.pixels(), threads, [&](std::int64_t piece) {
    for_rows(job, parts, piece, piece * rows, std::min(job.shape.rows, (piece + 1) * rows), body);
  });
}

// Writes what the weighted tiles give for the area of a patch that has the same tiles everywhere.
void blend(const FinishJob& job, const Span& down, const Span& across, const Patch& patch, float* frame) {
  const Axis &rows = job.layout->rows, &columns = job.layout->columns;
  const std::int64_t scale = job.layout->scale, height = scale * rows.tile, width = scale * columns.tile;
  const std::int64_t top = std::max(down.begin, patch.row), left = std::max(across.begin, patch.column);
  const Area area{std::min(down.end, patch.row + patch.area.rows) - top,
                  std::min(across.end, patch.column + patch.area.columns) - left};
  if (area.rows <= 0 || area.columns <= 0) return;
  bool first = true;
  for (const std::int64_t i : down.tiles)
    for (const std::int64_t k : across.tiles) {
      const float* row_weights = &rows.weight[i * height + top - scale * rows.start[i]];
      const float* weights = &columns.weight[k * width + left - scale * columns.start[k]];
      loops().blend(tile_at(job, i, k, top, left), row_weights, weights, area, first,
                    {frame + top * job.shape.columns + left, job.shape.columns});
      first = false;
    }
}

void blend(const FinishJob& job, const Patch& patch, float* frame) {
  for (const Span& down : job.layout->rows.spans)
    for (const Span& across : job.layout->columns.spans) blend(job, down, across, patch, frame);
}

// One long row where rows follow each other in the tile as in the frame.
void join_rows(Rows<const float>& in, Rows<float>& out, Area& area) {
  if (in.stride != area.columns || out.stride != area.columns) return;
  area = {1, area.rows * area.columns};
}

}  // namespace

void finish_frame(const FinishJob& job, const Finishing& finishing, std::int64_t frame, float* out, Totals totals,
                  int threads) {
  const bool clamp = finishing.keep == Keep::sum;
  std::vector<SumLanes> lanes(static_cast<std::size_t>(pieces(job.shape.rows, rows_of_piece(job.shape))));
  const auto for_areas = [&](auto&& body) {
    for_patches(job, threads, [&](const Patch& patch) {
      Rows<float> to{out + patch.row * job.shape.columns + patch.column, job.shape.columns};
      Rows<const float> from{to.pixels, to.stride};
      if (patch.across != kMet) from = tile_at(job, patch.down, patch.across, patch.row, patch.column);
      Area area = patch.area;
      join_rows(from, to, area);
      body(patch, from, area, to, &lanes[patch.piece]);
    });
  };
  for_areas([&](const Patch& patch, Rows<const float> from, Area area, Rows<float>, SumLanes* sums) {
    if (patch.across == kMet) blend(job, patch, out);
    loops().sums(from, area, sums);
  });
  const Sums before = sums_of(lanes);
  const float factor = factor_of(before, finishing, frame);
  std::fill(lanes.begin(), lanes.end(), SumLanes{});
  for_areas([&](const Patch&, Rows<const float> from, Area area, Rows<float> to, SumLanes* sums) {
    loops().scale(from, area, factor, clamp, to, sums);
  });
  totals.before[frame] = before.all * finishing.gain[frame];
  totals.after[frame] = sums_of(lanes).all;
}

}  // namespace photopeak
