// The processor as a device of portable code: slow, for tests.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>

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
}  // namespace photopeak
