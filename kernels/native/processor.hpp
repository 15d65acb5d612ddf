// Which of the builds for x86-64 the processor runs.
#pragma once

#include <cstdlib>
#include <string>

namespace photopeak {

enum class Simd { baseline, avx2, avx512 };  // x86-64 (or another architecture), -v3 and -v4

// The highest; PHOTOPEAK_SIMD=baseline|avx2|avx512 narrows the choice.
inline Simd choose_simd() {
#ifdef PHOTOPEAK_X86_LOOPS
  const char* wish = std::getenv("PHOTOPEAK_SIMD");
  const std::string most = wish ? wish : "avx512";
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512cd");
  if (avx512 && most == "avx512") return Simd::avx512;
  if (avx2 && most != "baseline") return Simd::avx2;
#endif
  return Simd::baseline;
}

}  // namespace photopeak
