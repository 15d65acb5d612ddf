// Memory that calls use again instead of asking the system for it each time, also when several threads call at once.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

namespace photopeak {

// Zeros at first, at an address that a cache line begins at.
class Scratch {
 public:
  explicit Scratch(std::int64_t n) : n_(n), data_(static_cast<float*>(::operator new(bytes(), kAlignment))) { clear(); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { ::operator delete(data_, kAlignment); }

  float* get() const { return data_; }
  std::int64_t size() const { return n_; }
  void clear() { std::memset(data_, 0, bytes()); }

 private:
  static constexpr std::align_val_t kAlignment{64};
  std::size_t bytes() const { return static_cast<std::size_t>(n_) * sizeof(float); }

  std::int64_t n_;
  float* data_;
};

// Lends scratch of one size.
class ScratchPool {
 public:
  explicit ScratchPool(std::int64_t n) : n_(n) {}

  class Loan {
   public:
    Loan(ScratchPool& pool, std::unique_ptr<Scratch> scratch) : pool_(pool), scratch_(std::move(scratch)) {}
    Loan(Loan&& other) = default;
    ~Loan() {
      if (!scratch_) return;
      const std::lock_guard<std::mutex> guard(pool_.lock_);
      pool_.free_.push_back(std::move(scratch_));
    }
    float* get() const { return scratch_->get(); }
    std::int64_t size() const { return scratch_->size(); }

   private:
    ScratchPool& pool_;
    std::unique_ptr<Scratch> scratch_;
  };

  Loan take() {
    {
      const std::lock_guard<std::mutex> guard(lock_);
      if (!free_.empty()) {
        std::unique_ptr<Scratch> scratch = std::move(free_.back());
        free_.pop_back();
        return Loan(*this, std::move(scratch));
      }
    }
    return Loan(*this, std::make_unique<Scratch>(n_));
  }

 private:
  std::int64_t n_;
  std::mutex lock_;
  std::vector<std::unique_ptr<Scratch>> free_;
};

}  // namespace photopeak
