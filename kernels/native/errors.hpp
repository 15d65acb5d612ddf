// What native code throws; Python sees the class of the same name in photopeak.kernels.errors.
#pragma once

#include <stdexcept>

namespace photopeak {

struct InputError : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct DeviceError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace photopeak
