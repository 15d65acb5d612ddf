// Runs the CUDA code, with each thread of a GPU as a fiber, beside its CPU twin; prints what differs.
#include <cmath>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "cuda_runtime.h"
#include "device_pipeline.hpp"
#include "frame_layout.hpp"
#include "frame_loops.hpp"

using namespace photopeak;

namespace {

int failures = 0;
std::mt19937 randomness(20261123);

std::int64_t whole(std::int64_t low, std::int64_t high) {
  return std::uniform_int_distribution<std::int64_t>(low, high)(randomness);
}

void expect(bool holds, const std::string& what) {
  if (holds) return;
  ++failures;
  std::printf("%s\n", what.c_str());
}

// Bits where nothing was summed, else what the order of a sum changes.
template <class T>
void same(const std::vector<T>& ours, const std::vector<T>& theirs, double tolerance, const std::string& what) {
  double worst = 0.0, size = 0.0;
  for (std::size_t i = 0; i < theirs.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(ours[i]) - static_cast<double>(theirs[i])));
    size = std::max(size, std::abs(static_cast<double>(theirs[i])));
  }
  expect(worst <= tolerance * size, what + " differs by " + std::to_string(worst) + " of " + std::to_string(size));
}

// Tiles that cover an axis with the same overlap everywhere, and weights that sum to 1.
Axis covered(std::int64_t length, std::int64_t tile, std::int64_t step, std::int64_t scale) {
  std::vector<std::int64_t> start{0};
  while (start.back() + tile < length) start.push_back(start.back() + step);
  const std::int64_t width = scale * tile;
  std::vector<float> weight(start.size() * static_cast<std::size_t>(width));
  for (std::size_t i = 0; i < start.size(); ++i)
    for (std::int64_t x = 0; x < width; ++x) {
      int here = 0;
      for (const std::int64_t other : start) {
        const std::int64_t inside = scale * (start[i] - other) + x;
        here += inside >= 0 && inside < width;
      }
      weight[i * width + x] = 1.0f / static_cast<float>(here);
    }
  return axis_of(length, tile, start, weight, scale);
}

struct Case {
  Shape shape;
  Layout layout;
  Keep keep;
  bool counts;  // whether pixels are whole

  static Case make() {
    const Shape shape{whole(1, 3), whole(1, 120), whole(1, 300)};
    const std::int64_t scale = whole(1, 2), kind = whole(0, 2);
    const auto along = [&](std::int64_t length) {
      const std::int64_t tile = kind == 2 ? std::min<std::int64_t>(length, whole(16, 64)) : length + whole(0, 9) * kind;
      return covered(length, tile, std::max<std::int64_t>(1, tile - whole(0, tile / 2)), scale);
    };
    return {shape, {along(shape.rows), along(shape.columns), scale}, static_cast<Keep>(whole(0, 2)), whole(0, 1) == 0};
  }

  std::string text(const char* what) const {
    return std::string(what) + " of " + std::to_string(shape.frames) + " x " + std::to_string(shape.rows) + " x " +
           std::to_string(shape.columns) + " in " + std::to_string(layout.tiles()) + " tiles";
  }

  std::vector<float> pixels(double low = 0.0) const {
    std::vector<float> made(static_cast<std::size_t>(shape.size()));
    std::uniform_real_distribution<double> value(low, 70.0);
    for (float& pixel : made) pixel = static_cast<float>(counts ? std::floor(value(randomness)) : value(randomness));
    // Below any limit are pixels that a sum is kept without, but not all of them.
    for (std::int64_t i = 0; i < shape.frames; ++i) made[i * shape.pixels()] = 70.0f;
    return made;
  }
};

struct Taken {
  std::vector<float> staged, frames;
  std::vector<double> before, after;
};

// Frame operations run on whichever device is current, pipelines on that of their queue.
int other_device() {
  cudaSetDevice(1 - current_device);
  return 1 - current_device;
}

// Through a graph that repeats each pixel `scale` times along both axes, done here where a GPU's memory can be read.
Taken through(const DeviceQueue& queue, const Case& it, const Batch& batch) {
  const BatchPlan plan{it.layout, it.shape.frames, it.keep};
  const auto pipeline = queue.pipeline(plan);
  const bool small = pipeline->fill(batch, 1);
  expect(small == it.counts, it.text("packing"));
  pipeline->upload();
  Taken taken;
  const std::int64_t scale = it.layout.scale, width = it.layout.columns.tile, rows = plan.input_pixels() / width;
  for (std::int64_t tile = 0; tile < it.layout.tiles(); ++tile) {
    pipeline->stage(tile);
    const float* in = pipeline->input();
    taken.staged.insert(taken.staged.end(), in, in + plan.input_pixels());
    for (std::int64_t i = 0; i < scale * scale * rows * width; ++i)
      pipeline->output()[i] = in[i / (scale * width) / scale * width + i % (scale * width) / scale];
    pipeline->collect(tile);
  }
  pipeline->finish();
  pipeline->download();
  pipeline->wait();
  taken.frames.resize(static_cast<std::size_t>(plan.result().size()));
  taken.before.resize(static_cast<std::size_t>(it.shape.frames));
  taken.after = taken.before;
  pipeline->take(taken.frames.data(), {taken.before.data(), taken.after.data()}, 1);
  return taken;
}

void compare_pipelines(const Case& it) {
  const std::vector<float> pixels = it.pixels();
  std::vector<Rescale> rescale;
  std::vector<Contrast> contrast;
  std::vector<double> target, gain;
  for (std::int64_t i = 0; i < it.shape.frames; ++i) {
    rescale.push_back({1.0 + 0.25 * static_cast<double>(whole(0, 2)), static_cast<double>(whole(0, 1))});
    contrast.push_back({20.0f * static_cast<float>(whole(-1, 1)), 0.5f});
    target.push_back(static_cast<double>(whole(1, 1000)));
    gain.push_back(0.5 * static_cast<double>(whole(1, 4)));
  }
  const Batch batch{pixels.data(), Stored::f32, rescale.data(), contrast.data(), target.data(), gain.data()};
  const Taken ours = through(*cuda_queue(other_device()), it, batch), theirs = through(*cpu_queue(), it, batch);
  same(ours.staged, theirs.staged, 0.0, it.text("staging"));
  same(ours.frames, theirs.frames, it.keep == Keep::none ? 0.0 : 3e-7, it.text("finishing"));
  same(ours.before, theirs.before, 1e-12, it.text("the sum before"));
  same(ours.after, theirs.after, it.keep == Keep::none ? 1e-12 : 3e-7, it.text("the sum after"));
}

void compare_rounding(const Case& it) {
  const std::vector<float> pixels = it.pixels(-20.0);
  const std::vector<Rescale> rescale(static_cast<std::size_t>(it.shape.frames), Rescale{0.37, -30.0});
  for (const bool keep_sum : {false, true}) {
    std::vector<std::uint16_t> ours(pixels.size()), theirs(pixels.size());
    cuda_operations().to_stored(pixels.data(), it.shape, rescale.data(), Stored::u16, keep_sum, ours.data(), 1);
    cpu_operations().to_stored(pixels.data(), it.shape, rescale.data(), Stored::u16, keep_sum, theirs.data(), 1);
    same(ours, theirs, 0.0, it.text("rounding"));
  }
}

void compare_statistics(const Case& it) {
  const std::vector<float> pixels = it.pixels(-5.0);
  const auto n = static_cast<std::size_t>(it.shape.frames);
  std::vector<float> low(n), high(n), low_of_cpu(n), high_of_cpu(n);
  cuda_operations().robust_scale(pixels.data(), it.shape, 0.97, low.data(), high.data(), 1);
  cpu_operations().robust_scale(pixels.data(), it.shape, 0.97, low_of_cpu.data(), high_of_cpu.data(), 1);
  same(low, low_of_cpu, 0.0, it.text("low quantiles"));
  same(high, high_of_cpu, 0.0, it.text("high quantiles"));
  std::vector<FrameStatistics> ours(n), theirs(n);
  cuda_operations().statistics(pixels.data(), it.shape, ours.data(), 1);
  cpu_operations().statistics(pixels.data(), it.shape, theirs.data(), 1);
  for (std::size_t i = 0; i < n; ++i) {
    const FrameStatistics &a = ours[i], &b = theirs[i];
    expect(a.nonzero == b.nonzero && a.minimum == b.minimum && a.maximum == b.maximum && a.non_finite == b.non_finite,
           it.text("extremes"));
    same<double>({a.sum, a.anscombe_mean, a.anscombe_variance, a.difference_1, a.difference_2},
                 {b.sum, b.anscombe_mean, b.anscombe_variance, b.difference_1, b.difference_2}, 1e-10,
                 it.text("statistics"));
  }
}

void refuse_what_is_not_finite() {
  const Case it{{2, 5, 7}, {covered(5, 5, 5, 1), covered(7, 7, 7, 1), 1}, Keep::sum, false};
  std::vector<float> pixels = it.pixels();
  pixels[50] = NAN;
  const std::vector<Rescale> rescale(2, {1.0, 0.0});
  const std::vector<Contrast> contrast(2, {0.0f, 1.0f});
  const std::vector<double> ones(2, 1.0);
  std::string told;
  try {
    through(*cuda_queue(0), it,
            {pixels.data(), Stored::f32, rescale.data(), contrast.data(), ones.data(), ones.data()});
  } catch (const InputError& error) {
    told = error.what();
  }
  expect(told.find("Frame 1 has pixels that are not finite") == 0, "NaN passed: " + told);
}

}  // namespace

int main() {
  for (int i = 0; i < 25; ++i) {
    const Case it = Case::make();
    compare_pipelines(it);
    compare_rounding(it);
    compare_statistics(it);
  }
  refuse_what_is_not_finite();
  std::printf("%d differences\n", failures);
  return failures > 0;
}
