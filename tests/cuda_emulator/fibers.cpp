// Runs a grid: blocks one after another, each CUDA thread on a fiber that gives way where it waits for
// others.
#include <sys/mman.h>

#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <numeric>
#include <stdexcept>
#include <utility>
#include <vector>

#include "cuda_runtime.h"
#include "random.hpp"
#include "sanitizers.hpp"
#if !defined(__x86_64__) || defined(CUDA_EMULATOR_UCONTEXT)
#include <ucontext.h>
#else
#define CUDA_EMULATOR_OWN_SWITCH 1
#endif

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

#ifdef CUDA_EMULATOR_OWN_SWITCH
// Saves what the calling convention preserves, stores the stack pointer in *from and goes on where `to` was
// left.
extern "C" void cuda_emulator_switch(void** from, void* to);
asm(R"(
.text
.type cuda_emulator_switch, @function
cuda_emulator_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size cuda_emulator_switch, .-cuda_emulator_switch
)");
#endif

namespace cuda_emulator {
namespace {

constexpr unsigned kWarp = 32, kMaxThreads = 1024;
constexpr std::size_t kStackBytes = std::size_t{256} << 10, kGuardBytes = 4096;
// Were all stacks to end at the same place of a page, they would fight for the same few lines of the cache.
constexpr std::size_t kStackShift = 448, kMaxStackShift = 32768;
constexpr std::size_t kStaticSharedBytes = std::size_t{48} << 10;

std::string text(const Place& place) { return std::string(place.file) + ":" + std::to_string(place.line); }
std::string text(const uint3& index) {
  return "(" + std::to_string(index.x) + "," + std::to_string(index.y) + "," + std::to_string(index.z) + ")";
}

struct Fiber {
  const void* stack = nullptr;  // of the main fiber: found out when it is first left
  std::size_t size = 0;
  void* kept_by_asan = nullptr;
  void* tsan = nullptr;
  unsigned thread = 0;
  uint3 index{};
#ifdef CUDA_EMULATOR_OWN_SWITCH
  void* top = nullptr;
  void prepare(void (*entry)()) {  // the frame that cuda_emulator_switch would have left
    void** frame = static_cast<void**>(const_cast<void*>(stack)) + size / sizeof(void*) - 8;
    std::fill_n(frame, 8, nullptr);
    std::memcpy(frame + 6, &entry, sizeof(entry));
    top = frame;
  }
  CUDA_EMULATOR_UNWATCHED void switch_to(Fiber& to) { cuda_emulator_switch(&top, to.top); }
#else
  ucontext_t context{};
  void prepare(void (*entry)()) {
    getcontext(&context);
    context.uc_stack.ss_sp = const_cast<void*>(stack);
    context.uc_stack.ss_size = size;
    makecontext(&context, entry, 0);
  }
  CUDA_EMULATOR_UNWATCHED void switch_to(Fiber& to) { swapcontext(&context, &to.context); }
#endif
};

// Lanes of a warp that meet in one instruction; kept under the lowest lane of its mask.
struct Meeting {
  unsigned mask = 0, arrived = 0, phase = 0;
  const char* name = nullptr;
  Place place{};
  std::array<void*, kWarp> own{};
  std::array<Fiber*, kWarp> fibers{};
};
struct Warp {
  unsigned present = 0, finished = 0, expected = 0;  // lanes; expected: those of the masks of open meetings
  std::array<Meeting, kWarp> meetings;
};
struct Waiting {
  const char* name = nullptr;  // null: runs, or has not begun, or has finished
  Place place{};
};

class Grid {
 public:
  void run(dim3 grid, dim3 block, std::size_t dynamic_bytes, std::uint64_t seed,
           const std::function<void()>& thread);
  int barrier(const char* name, bool predicate, Place place);
  void meet(const char* name, unsigned mask, void* own, void (*combine)(void* const*, unsigned),
            bool ordering, Place place);
  unsigned lane() const { return current_->thread % kWarp; }
  void* shared(SharedArray& array, std::size_t bytes, std::size_t alignment);
  void* dynamic_shared() { return dynamic_; }

 private:
  void run_block(std::size_t dynamic_bytes);
  void prepare_fibers();
  Fiber& create_fiber();
  void abandon_fibers();
  [[noreturn]] void raise();
  static void entry();
  void run_threads();
  void begin_thread();
  void end_thread();
  Fiber* next();
  void switch_to(Fiber& to, bool for_good = false);
  void wait(const char* name, Place place);
  void make_ready(Fiber* fiber) { ready_[ready_end_++ % kMaxThreads] = fiber; }
  [[noreturn]] void fail(const std::string& message) const;
  void* allocate_shared(std::size_t bytes, std::size_t alignment);
  void* key(std::size_t index) { return keys_.get() + index; }

  // The grid.
  const std::function<void()>* thread_ = nullptr;
  std::uint64_t seed_ = 0;
  Random random_{0};
  // Under ThreadSanitizer a fiber runs one thread of a block, always at the same place, and blocks take turns
  // with two pools: a block is then not ordered after the one before it.
  std::array<std::vector<std::unique_ptr<Fiber>>, 2> pools_;
  std::vector<Fiber*> idle_;
  Fiber main_;
  Fiber* current_ = &main_;
  Fiber* previous_ = &main_;
  std::uint64_t grid_start_ = 0, grid_end_ = 0;  // keys

  // The block.
  std::uint64_t block_ = 0;  // its number among all that were ever run
  unsigned threads_ = 0, begun_ = 0, finished_ = 0;
  std::vector<unsigned> order_;
  std::vector<uint3> index_;
  std::vector<Warp> warps_;
  std::vector<Waiting> waiting_;
  std::unique_ptr<std::uint64_t[]> keys_;
  std::array<Fiber*, kMaxThreads> ready_{};  // a ring
  unsigned ready_begin_ = 0, ready_end_ = 0;
  std::vector<void*> shared_;
  void* dynamic_ = nullptr;
  std::size_t static_bytes_ = 0;
  // The barrier.
  std::vector<Fiber*> at_barrier_;
  unsigned arrived_ = 0, phase_ = 0;
  int count_ = 0;
  std::array<int, 2> result_{};
  const char* barrier_name_ = nullptr;
  Place barrier_place_{};

  std::exception_ptr exception_;
};

Grid& grid() {
  static Grid* instance = new Grid;  // never destroyed: its memory may be asked for while the program ends
  return *instance;
}

// --- Fibers ------------------------------------------------------------------------------------------------

Fiber& Grid::create_fiber() {
  void* memory = mmap(nullptr, kGuardBytes + kStackBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  mprotect(memory, kGuardBytes, PROT_NONE);
  auto& pool = pools_[sanitizer::kThreads ? block_ % 2 : 0];
  pool.push_back(std::make_unique<Fiber>());
  pool.back()->stack = static_cast<char*>(memory) + kGuardBytes;
  pool.back()->size = kStackBytes - pool.size() * kStackShift % kMaxStackShift;
  return *pool.back();
}

void Grid::prepare_fibers() {
  if (!sanitizer::kThreads) return;
  auto& pool = pools_[block_ % 2];
  while (pool.size() < threads_) create_fiber();
  idle_.clear();
  for (unsigned i = threads_; i-- > 0;) {
    if (pool[i]->tsan == nullptr) pool[i]->tsan = sanitizer::create_fiber();
    idle_.push_back(pool[i].get());
  }
}

// After an error: fibers that never come to their end.
void Grid::abandon_fibers() {
  idle_.clear();
  for (auto& pool : pools_) {
    for (auto& fiber : pool) {
      sanitizer::unpoison(const_cast<void*>(fiber->stack), fiber->size);
      if (fiber->tsan != nullptr) sanitizer::destroy_fiber(std::exchange(fiber->tsan, nullptr));
      idle_.push_back(fiber.get());
    }
  }
  for (Warp& warp : warps_) warp = {};
}

// Called within a Quiet, as all switches are; what is left behind for good must not stay quiet.
CUDA_EMULATOR_UNWATCHED void Grid::switch_to(Fiber& to, bool for_good) {
  Fiber& from = *current_;
  if (&to == &from) return;
  previous_ = &from;
  current_ = &to;
  sanitizer::end_quiet();
  sanitizer::leave_stack(for_good ? nullptr : &from.kept_by_asan, to.stack, to.size);
  sanitizer::enter_fiber(to.tsan);
  from.switch_to(to);
  sanitizer::arrive_on_stack(from.kept_by_asan, &previous_->stack, &previous_->size);
  sanitizer::begin_quiet();
  threadIdx = from.index;
}

CUDA_EMULATOR_UNWATCHED void Grid::entry() {
  Grid& self = grid();
  sanitizer::arrive_on_stack(nullptr, &self.previous_->stack, &self.previous_->size);
  self.run_threads();
  sanitizer::begin_quiet();
  Fiber* to = self.next();
  if (!sanitizer::kThreads) self.idle_.push_back(self.current_);
  self.switch_to(to != nullptr ? *to : self.main_, true);
  __builtin_unreachable();
}

// One thread after another, as long as none has to wait: only a waiting thread needs a fiber of its own.
void Grid::run_threads() {
  try {
    do {
      begin_thread();
      sanitizer::acquire(&grid_start_);
      (*thread_)();
      sanitizer::release(&grid_end_);
      end_thread();
    } while (!sanitizer::kThreads && begun_ < threads_);
  } catch (...) {
    exception_ = std::current_exception();
    sanitizer::release(&grid_end_);
  }
}

Fiber* Grid::next() {
  if (exception_) return nullptr;
  const bool resume = ready_begin_ != ready_end_, begin = begun_ < threads_;
  if (resume && (!begin || seed_ == 0 || random_.below(2) == 0)) {
    const unsigned count = ready_end_ - ready_begin_;
    Fiber*& first = ready_[ready_begin_++ % kMaxThreads];
    if (seed_ != 0) std::swap(first, ready_[(ready_begin_ - 1 + random_.below(count)) % kMaxThreads]);
    return first;
  }
  if (!begin) return nullptr;
  Fiber* fiber = idle_.empty() ? &create_fiber() : idle_.back();
  if (!idle_.empty()) idle_.pop_back();
  fiber->prepare(&Grid::entry);
  return fiber;
}

void Grid::wait(const char* name, Place place) {
  Waiting& waiting = waiting_[current_->thread];
  waiting = {name, place};
  sanitizer::release(&grid_end_);  // should the block fail, nobody wakes this thread
  Fiber* to = next();
  switch_to(to != nullptr ? *to : main_);
  waiting.name = nullptr;
}

void Grid::fail(const std::string& message) const {
  throw std::runtime_error(message + ": thread " + text(threadIdx) + " of block " + text(blockIdx));
}

// --- Blocks ------------------------------------------------------------------------------------------------

void Grid::begin_thread() {
  sanitizer::Quiet quiet;
  current_->thread = order_[begun_++];
  current_->index = threadIdx = index_[current_->thread];
}

void Grid::end_thread() {
  sanitizer::Quiet quiet;
  ++finished_;
  Warp& warp = warps_[current_->thread / kWarp];
  const unsigned bit = 1u << lane();
  warp.finished |= bit;
  if (arrived_ != 0)
    fail(text(barrier_place_) + ": a thread leaves the kernel while others wait in " + barrier_name_);
  if ((warp.expected & bit) == 0) return;
  for (const Meeting& meeting : warp.meetings) {
    if (meeting.arrived != 0 && (meeting.mask & bit) != 0) {
      fail(text(meeting.place) + ": a thread leaves the kernel while lanes of its warp wait for it in " +
           meeting.name);
    }
  }
}

int Grid::barrier(const char* name, bool predicate, Place place) {
  sanitizer::Quiet quiet;
  if (finished_ != 0)
    fail(text(place) + ": " + name + " after " + std::to_string(finished_) + " threads left the kernel");
  if (arrived_ == 0) {
    barrier_name_ = name;
    barrier_place_ = place;
    count_ = 0;
  } else if (place != barrier_place_) {
    fail(text(place) + ": " + name + " in divergent code, others wait in " + barrier_name_ + " at " +
         text(barrier_place_));
  }
  const unsigned parity = phase_ % 2;  // a thread may reach the next barrier before all have left this one
  sanitizer::release(key(parity));
  count_ += predicate;
  if (++arrived_ == threads_) {
    arrived_ = 0;
    ++phase_;
    result_[parity] = count_;
    for (Fiber* fiber : at_barrier_) make_ready(fiber);
    at_barrier_.clear();
  } else {
    at_barrier_.push_back(current_);
    wait(name, place);
  }
  sanitizer::acquire(key(parity));
  return result_[parity];
}

void Grid::meet(const char* name, unsigned mask, void* own, void (*combine)(void* const*, unsigned),
                bool ordering, Place place) {
  sanitizer::Quiet quiet;
  const unsigned thread = current_->thread, bit = 1u << (thread % kWarp), first = thread - thread % kWarp;
  Warp& warp = warps_[thread / kWarp];
  const auto here = [&] { return text(place) + ": " + name; };
  if ((mask & bit) == 0) fail(here() + " with a mask that lacks the calling lane");
  mask &= warp.present;
  if ((mask & warp.finished) != 0) fail(here() + " with a mask that names lanes that left the kernel");
  const unsigned lowest = static_cast<unsigned>(std::countr_zero(mask));
  Meeting& meeting = warp.meetings[lowest];
  if (meeting.arrived == 0 && (warp.expected & mask) == 0) {
    meeting.mask = mask;
    meeting.name = name;
    meeting.place = place;
    warp.expected |= mask;
  } else if (meeting.arrived == 0 || meeting.mask != mask || meeting.place != place ||
             (meeting.name != name && std::strcmp(meeting.name, name) != 0)) {
    for (const Meeting& other : warp.meetings) {
      if (other.arrived == 0 || (other.mask & mask) == 0) continue;
      fail(here() + " in a diverged warp, other lanes wait in " + other.name + " at " + text(other.place) +
           (other.mask != mask ? " with another mask" : ""));
    }
  }
  meeting.own[thread % kWarp] = own;
  meeting.fibers[thread % kWarp] = current_;
  meeting.arrived |= bit;
  void* const order = key(2 + 2 * (first + lowest) + meeting.phase % 2);
  if (ordering) sanitizer::release(order);
  if (meeting.arrived == mask) {
    combine(meeting.own.data(), mask);
    meeting.arrived = 0;
    ++meeting.phase;
    warp.expected &= ~mask;
    for_each_lane(mask & ~bit, [&](unsigned i) { make_ready(meeting.fibers[i]); });
  } else {
    wait(name, place);
  }
  if (ordering) sanitizer::acquire(order);
}

void* Grid::allocate_shared(std::size_t bytes, std::size_t alignment) {
  sanitizer::Quiet quiet;  // new memory is nobody's: ThreadSanitizer forgets who used it before
  void* data = nullptr;
  if (posix_memalign(&data, std::max<std::size_t>(alignment, 16), bytes) != 0) throw std::bad_alloc();
  shared_.push_back(std::memset(data, 0xFF, bytes));
  return data;
}

void* Grid::shared(SharedArray& array, std::size_t bytes, std::size_t alignment) {
  sanitizer::Quiet quiet;
  if (array.block != block_) {
    static_bytes_ += bytes;
    if (static_bytes_ > kStaticSharedBytes) fail("more than 48 KiB of static shared memory");
    array = {block_, allocate_shared(bytes, alignment)};
  }
  return array.data;
}

void Grid::run_block(std::size_t dynamic_bytes) {
  ++block_;
  begun_ = finished_ = arrived_ = ready_begin_ = ready_end_ = 0;
  at_barrier_.clear();
  for (std::size_t w = 0; w < warps_.size(); ++w) {
    const unsigned lanes = std::min(kWarp, threads_ - static_cast<unsigned>(w) * kWarp);
    warps_[w].present = ~0u >> (kWarp - lanes);
    warps_[w].finished = 0;
  }
  if (seed_ != 0) random_.shuffle(order_);
  if (sanitizer::kThreads || keys_ == nullptr) keys_ = std::make_unique<std::uint64_t[]>(2 + 2 * kMaxThreads);
  dynamic_ = dynamic_bytes == 0 ? nullptr : allocate_shared(dynamic_bytes, 128);
  static_bytes_ = 0;
  prepare_fibers();
  for (Fiber* fiber; finished_ < threads_ && (fiber = next()) != nullptr;) switch_to(*fiber);
  for (void* data : shared_) std::free(data);
  shared_.clear();
  if (finished_ < threads_ || exception_) raise();
}

void Grid::raise() {
  std::exception_ptr exception = std::exchange(exception_, nullptr);
  if (!exception) {
    std::string message = "deadlock in block " + text(blockIdx);
    int named = 0;
    for (unsigned t = 0; t < threads_ && named < 4; ++t) {
      if (waiting_[t].name == nullptr) continue;
      message += (named++ == 0 ? ": " : ", ") + ("thread " + text(index_[t])) + " waits in " +
                 waiting_[t].name + " at " + text(waiting_[t].place);
    }
    exception = std::make_exception_ptr(std::runtime_error(message));
  }
  abandon_fibers();
  sanitizer::acquire(&grid_end_);
  std::rethrow_exception(exception);
}

void Grid::run(dim3 grid, dim3 block, std::size_t dynamic_bytes, std::uint64_t seed,
               const std::function<void()>& thread) {
  sanitizer::Quiet quiet;
  thread_ = &thread;
  seed_ = seed;
  random_ = Random(seed);
  gridDim = grid;
  blockDim = block;
  threads_ = block.x * block.y * block.z;
  order_.resize(threads_);
  std::iota(order_.begin(), order_.end(), 0u);
  index_.resize(threads_);
  for (unsigned t = 0; t < threads_; ++t)
    index_[t] = {t % block.x, t / block.x % block.y, t / block.x / block.y};
  waiting_.assign(threads_, {});
  warps_.resize((threads_ + kWarp - 1) / kWarp);
  std::vector<std::uint64_t> blocks(std::size_t{grid.x} * grid.y * grid.z);
  std::iota(blocks.begin(), blocks.end(), std::uint64_t{0});
  if (seed != 0) random_.shuffle(blocks);
  main_.tsan = sanitizer::current_fiber();
  sanitizer::release(&grid_start_);
  for (const std::uint64_t b : blocks) {
    blockIdx = {static_cast<unsigned>(b % grid.x), static_cast<unsigned>(b / grid.x % grid.y),
                static_cast<unsigned>(b / grid.x / grid.y)};
    run_block(dynamic_bytes);
  }
  sanitizer::acquire(&grid_end_);
}

}  // namespace

int block_barrier(const char* name, bool predicate, Place place) {
  return grid().barrier(name, predicate, place);
}
void warp_meeting(const char* name, unsigned mask, void* own, void (*combine)(void* const*, unsigned),
                  bool ordering, Place place) {
  grid().meet(name, mask, own, combine, ordering, place);
}
unsigned lane() { return grid().lane(); }
void fence() {
  static std::uint64_t key;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  sanitizer::release(&key);
  sanitizer::acquire(&key);
}
void* shared_memory(SharedArray& array, std::size_t bytes, std::size_t alignment) {
  return grid().shared(array, bytes, alignment);
}
void* dynamic_shared_memory() { return grid().dynamic_shared(); }
void run_grid(dim3 grid_size, dim3 block, std::size_t dynamic_bytes, std::uint64_t seed,
              const std::function<void()>& thread) {
  grid().run(grid_size, block, dynamic_bytes, seed, thread);
}

}  // namespace cuda_emulator
