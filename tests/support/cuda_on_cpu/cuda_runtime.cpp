#include "cuda_runtime.h"

#include <sys/mman.h>
#include <ucontext.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <vector>

RunningThread running;
thread_local int current_device = 0;

namespace {

constexpr unsigned kWarp = 32, kMostThreads = 1024;
constexpr std::size_t kStack = 1 << 16, kPage = 4096;

// The threads of one block. A fiber that waits gives way to the others until all of its group have come.
class Block {
 public:
  Block(unsigned threads, const std::function<void()>& kernel)
      : kernel_(kernel), fibers_(threads), stacks_(threads), done_(threads), at_block_(threads), at_warp_(threads) {
    for (auto& stack : stacks_) stack = std::make_unique<char[]>(kStack);
  }

  void run() {
    const unsigned n = size();
    for (unsigned i = 0; i < n; ++i) {
      getcontext(&fibers_[i]);
      fibers_[i].uc_stack.ss_sp = stacks_[i].get();
      fibers_[i].uc_stack.ss_size = kStack;
      fibers_[i].uc_link = &home_;
      makecontext(&fibers_[i], &Block::enter, 0);
      done_[i] = false;
      at_block_[i] = at_warp_[i] = 0;
    }
    for (unsigned left = n; left > 0;) {
      left = 0;
      for (current_ = 0; current_ < n; ++current_) {
        if (done_[current_]) continue;
        running.thread = dim3(current_ % running.threads.x, current_ / running.threads.x);
        swapcontext(&home_, &fibers_[current_]);
        left += !done_[current_];
      }
    }
  }

  void wait_for_block() { wait(at_block_, 0, size()); }

  double shuffle_down(double value, int distance) {
    const unsigned me = current_, warp = me / kWarp * kWarp, end = std::min(warp + kWarp, size());
    values_[me] = value;
    wait(at_warp_, warp, end);
    const unsigned from = me + static_cast<unsigned>(distance);
    const double found = from < end ? values_[from] : value;
    wait(at_warp_, warp, end);
    return found;
  }

  static Block* now;

 private:
  static void enter() {
    now->kernel_();
    now->done_[now->current_] = true;
  }

  unsigned size() const { return static_cast<unsigned>(fibers_.size()); }

  // Threads that returned are not waited for.
  void wait(std::vector<unsigned>& arrivals, unsigned begin, unsigned end) {
    const unsigned me = current_, mine = ++arrivals[me];
    const auto all_came = [&] {
      for (unsigned i = begin; i < end; ++i)
        if (!done_[i] && arrivals[i] < mine) return false;
      return true;
    };
    while (!all_came()) swapcontext(&fibers_[me], &home_);
  }

  const std::function<void()>& kernel_;
  std::vector<ucontext_t> fibers_;
  std::vector<std::unique_ptr<char[]>> stacks_;
  std::vector<bool> done_;
  std::vector<unsigned> at_block_, at_warp_;
  double values_[kMostThreads];
  ucontext_t home_;
  unsigned current_ = 0;
};

Block* Block::now = nullptr;

struct Pages {
  void* first;
  std::size_t bytes;
};

std::map<void*, Pages> allocated;

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

}  // namespace

void run_blocks(dim3 blocks, dim3 threads, cudaStream_t stream, const std::function<void()>& kernel) {
  if (stream->index != current_device) fail("a kernel was started on a stream of another device");
  const unsigned size = threads.x * threads.y * threads.z;
  if (size == 0 || size > kMostThreads || blocks.x == 0 || blocks.y * blocks.z != 1) fail("no GPU has such blocks");
  Block block(size, kernel);
  Block::now = &block;
  running.threads = threads;
  running.blocks = blocks;
  for (unsigned i = 0; i < blocks.x; ++i) {
    running.block = dim3(i, 0, 0);
    block.run();
  }
}

void __syncthreads() { Block::now->wait_for_block(); }

double __shfl_down_sync(unsigned mask, double value, int distance) {
  if (mask != 0xffffffffu) fail("only whole warps are emulated");
  return Block::now->shuffle_down(value, distance);
}

cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
  const std::size_t inside = (bytes + kPage - 1) / kPage * kPage, all = inside + kPage;
  char* const first =
      static_cast<char*>(mmap(nullptr, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (first == MAP_FAILED) return cudaErrorMemoryAllocation;
  mprotect(first + inside, kPage, PROT_NONE);
  std::memset(first, 0xcd, inside);                   // neither zeros nor finite numbers that somebody may rely on
  *memory = first + inside - (bytes + 15) / 16 * 16;  // 16: the widest load of a thread
  allocated[*memory] = {first, all};
  return cudaSuccess;
}

cudaError_t cudaMallocFromPoolAsync(void** memory, std::size_t bytes, cudaMemPool_t pool, cudaStream_t stream) {
  if (pool->index != stream->index) fail("memory was taken from the pool of another device");
  return cudaMalloc(memory, bytes);
}

cudaError_t cudaFree(void* memory) {
  if (!memory) return cudaSuccess;
  const auto found = allocated.find(memory);
  if (found == allocated.end()) fail("memory was given back that was not taken");
  munmap(found->second.first, found->second.bytes);
  allocated.erase(found);
  return cudaSuccess;
}
