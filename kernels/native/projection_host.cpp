// The bodies of the CUDA code, called by the processor: slow, and what tests compare with the fast loops where there is
// no GPU.
#include <algorithm>
#include <cstring>

#include "camera_portable.hpp"
#include "projection_portable.hpp"

namespace photopeak {
namespace {

struct Host {
  template <class T>
  class Buffer {
   public:
    explicit Buffer(std::int64_t n) : values_(new T[static_cast<std::size_t>(n)]), n_(n) {}
    Buffer(const T* host, std::int64_t n) : Buffer(n) { std::copy_n(host, n, get()); }
    T* get() const { return values_.get(); }
    void clear() { std::fill_n(get(), n_, T{}); }
    void download(T* host) const { std::copy_n(get(), n_, host); }

   private:
    std::unique_ptr<T[]> values_;
    std::int64_t n_;
  };

  template <class Body>
  static void for_each(std::int64_t n, const Body& body) {
    for (std::int64_t i = 0; i < n; ++i) body(i);
  }
};

}  // namespace

std::unique_ptr<Projection> host_projection(const VolumeGrid& grid, const std::vector<Detector>& detectors) {
  return std::make_unique<PortableProjection<Host>>(grid, detectors);
}

std::unique_ptr<Projection> host_camera(const VolumeGrid& grid, const std::vector<Detector>& detectors,
                                        const Camera& camera, const float* attenuation) {
  return std::make_unique<PortableCamera<Host>>(grid, detectors, camera, attenuation);
}

}  // namespace photopeak
