// Registers of the instruction set that a file is compiled for. Only for the files that are compiled several times:
// everything here is inlined, and nothing is shared between them.
#pragma once

#include "frame_loops.hpp"

#ifdef __AVX512F__
#include <immintrin.h>
#endif

namespace photopeak {
namespace {

template <class Value, class T>
PHOTOPEAK_BODY Value load(const T* from) {
  Value value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}

// As many doubles as one register holds, as many floats in half of one, and as many integers as fill it.
#ifdef __AVX512F__
constexpr int kDoubles = 8;
#elif defined(__AVX2__)
constexpr int kDoubles = 4;
#else
constexpr int kDoubles = 2;
#endif
constexpr int kInts = 2 * kDoubles;
using Floats __attribute__((vector_size(kDoubles * sizeof(float)))) = float;
using Doubles __attribute__((vector_size(kDoubles * sizeof(double)))) = double;
using Ints __attribute__((vector_size(kInts * sizeof(std::int32_t)))) = std::int32_t;

// 0, 1, 2, ... from `first` on.
PHOTOPEAK_BODY Ints counted(std::int32_t first) {
  constexpr std::int32_t from_0[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return load<Ints>(from_0) + first;
}

// Lane l of the result is lane from[l], which is known when this is compiled.
PHOTOPEAK_BODY Ints shuffled(Ints values, Ints from) {
#ifdef __clang__
  Ints result;
  for (int lane = 0; lane < kInts; ++lane) result[lane] = values[from[lane]];
  return result;
#else
  return __builtin_shuffle(values, from);
#endif
}

}  // namespace
}  // namespace photopeak
