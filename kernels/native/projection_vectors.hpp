// Registers of the instruction set that a file is compiled for. Only for files that are compiled several times:
// everything here is inlined, and nothing is shared between them.
#pragma once

#include <cstdint>

#ifdef __AVX512F__
#include <immintrin.h>
#endif

#define PHOTOPEAK_INLINE static inline __attribute__((always_inline))

namespace photopeak {
namespace {

#ifdef __AVX512F__
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif
using Floats __attribute__((vector_size(kLanes * sizeof(float)))) = float;
using Ints __attribute__((vector_size(kLanes * sizeof(std::int32_t)))) = std::int32_t;

template <class Value, class T>
PHOTOPEAK_INLINE Value load(const T* from) {
  Value value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}

template <class Value, class T>
PHOTOPEAK_INLINE void store(T* to, Value value) {
  __builtin_memcpy(to, &value, sizeof value);
}

PHOTOPEAK_INLINE Floats clamped(Floats value, float high) {
  value = value < 0.0f ? Floats{} : value;
  return value > high ? Floats{} + high : value;
}

}  // namespace
}  // namespace photopeak
