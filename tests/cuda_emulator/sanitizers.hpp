// What the sanitizers must be told of fibers and of memory that changes hands; nothing where there is none.
#pragma once

#include <cstddef>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CUDA_EMULATOR_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define CUDA_EMULATOR_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define CUDA_EMULATOR_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define CUDA_EMULATOR_TSAN 1
#endif

#ifdef CUDA_EMULATOR_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef CUDA_EMULATOR_TSAN
#include <sanitizer/tsan_interface.h>
extern "C" void AnnotateIgnoreReadsBegin(const char* file, int line);
extern "C" void AnnotateIgnoreReadsEnd(const char* file, int line);
extern "C" void AnnotateIgnoreWritesBegin(const char* file, int line);
extern "C" void AnnotateIgnoreWritesEnd(const char* file, int line);
#endif

namespace cuda_emulator::sanitizer {

#ifdef CUDA_EMULATOR_TSAN
#define CUDA_EMULATOR_UNWATCHED __attribute__((no_sanitize("thread")))
inline constexpr bool kThreads = true;

// Between these the emulator's own accesses are no races.
inline void begin_quiet() {
  AnnotateIgnoreReadsBegin("", 0);
  AnnotateIgnoreWritesBegin("", 0);
}
inline void end_quiet() {
  AnnotateIgnoreWritesEnd("", 0);
  AnnotateIgnoreReadsEnd("", 0);
}
// What happened before a release of `key` happens before what follows an acquire of it.
inline void release(void* key) { __tsan_release(key); }
inline void acquire(void* key) { __tsan_acquire(key); }
inline void* current_fiber() { return __tsan_get_current_fiber(); }
inline void* create_fiber() { return __tsan_create_fiber(0); }
inline void destroy_fiber(void* fiber) { __tsan_destroy_fiber(fiber); }
CUDA_EMULATOR_UNWATCHED inline void enter_fiber(void* fiber) {
  __tsan_switch_to_fiber(fiber, __tsan_switch_to_fiber_no_sync);
}
#else
#define CUDA_EMULATOR_UNWATCHED
inline constexpr bool kThreads = false;
inline void begin_quiet() {}
inline void end_quiet() {}
inline void release(void*) {}
inline void acquire(void*) {}
inline void* current_fiber() { return nullptr; }
inline void* create_fiber() { return nullptr; }
inline void destroy_fiber(void*) {}
inline void enter_fiber(void*) {}
#endif

struct Quiet {
  Quiet() { begin_quiet(); }
  ~Quiet() { end_quiet(); }
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;
};

#ifdef CUDA_EMULATOR_ASAN
// Around a switch of stacks: `saved` keeps what belongs to the stack that is left (null: it is left for
// good).
inline void leave_stack(void** saved, const void* stack, std::size_t size) {
  __sanitizer_start_switch_fiber(saved, stack, size);
}
inline void arrive_on_stack(void* saved, const void** left, std::size_t* left_size) {
  __sanitizer_finish_switch_fiber(saved, left, left_size);
}
inline void poison(void* data, std::size_t size) { __asan_poison_memory_region(data, size); }
inline void unpoison(void* data, std::size_t size) { __asan_unpoison_memory_region(data, size); }
#else
inline void leave_stack(void**, const void*, std::size_t) {}
inline void arrive_on_stack(void*, const void**, std::size_t*) {}
inline void poison(void*, std::size_t) {}
inline void unpoison(void*, std::size_t) {}
#endif

}  // namespace cuda_emulator::sanitizer
