// CUDA's language and device functions for the host compiler: what a kernel needs beside the runtime API.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <climits>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "cuda_emulator.hpp"
#include "cuda_runtime_api.h"

#define __global__
#define __device__
#define __host__
#define __grid_constant__
#define __constant__ static
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))

// Instead of `__shared__ T name[count]` and `extern __shared__ T name[]`, which cannot be given to each block
// afresh.
#define CUDA_EMULATOR_SHARED(T, name, count)            \
  static ::cuda_emulator::SharedArray name##_shared;    \
  using name##_array = ::std::remove_cvref_t<T>[count]; \
  name##_array& name = *static_cast<name##_array*>(     \
      ::cuda_emulator::shared_memory(name##_shared, sizeof(name##_array), alignof(T)))
#define CUDA_EMULATOR_DYNAMIC_SHARED(T, name) \
  T* const name = static_cast<T*>(::cuda_emulator::dynamic_shared_memory())

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
inline constexpr int warpSize = 32;

#define CUDA_EMULATOR_VECTOR2(name, T, alignment) \
  struct alignas(alignment) name {                \
    T x, y;                                       \
  };                                              \
  constexpr name make_##name(T x, T y) { return {x, y}; }
#define CUDA_EMULATOR_VECTOR4(name, T, alignment) \
  struct alignas(alignment) name {                \
    T x, y, z, w;                                 \
  };                                              \
  constexpr name make_##name(T x, T y, T z, T w) { return {x, y, z, w}; }
CUDA_EMULATOR_VECTOR2(uchar2, unsigned char, 2)
CUDA_EMULATOR_VECTOR2(ushort2, unsigned short, 4)
CUDA_EMULATOR_VECTOR2(int2, int, 8)
CUDA_EMULATOR_VECTOR2(uint2, unsigned, 8)
CUDA_EMULATOR_VECTOR2(float2, float, 8)
CUDA_EMULATOR_VECTOR2(double2, double, 16)
CUDA_EMULATOR_VECTOR2(longlong2, long long, 16)
CUDA_EMULATOR_VECTOR2(ulonglong2, unsigned long long, 16)
CUDA_EMULATOR_VECTOR4(uchar4, unsigned char, 4)
CUDA_EMULATOR_VECTOR4(ushort4, unsigned short, 8)
CUDA_EMULATOR_VECTOR4(int4, int, 16)
CUDA_EMULATOR_VECTOR4(uint4, unsigned, 16)
CUDA_EMULATOR_VECTOR4(float4, float, 16)
#undef CUDA_EMULATOR_VECTOR2
#undef CUDA_EMULATOR_VECTOR4
constexpr uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }

// --- Barriers, warps ---------------------------------------------------------------------------------------

#define CUDA_EMULATOR_PLACE ::cuda_emulator::Place place = ::cuda_emulator::Place::here()

inline void __syncthreads(CUDA_EMULATOR_PLACE) {
  cuda_emulator::block_barrier("__syncthreads", false, place);
}
inline int __syncthreads_count(int predicate, CUDA_EMULATOR_PLACE) {
  return cuda_emulator::block_barrier("__syncthreads_count", predicate != 0, place);
}
inline int __syncthreads_or(int predicate, CUDA_EMULATOR_PLACE) {
  return cuda_emulator::block_barrier("__syncthreads_or", predicate != 0, place) != 0;
}
inline int __syncthreads_and(int predicate, CUDA_EMULATOR_PLACE) {
  return cuda_emulator::block_barrier("__syncthreads_and", predicate == 0, place) == 0;
}
inline void __syncwarp(unsigned mask = ~0u, CUDA_EMULATOR_PLACE) {
  cuda_emulator::warp_meeting(
      "__syncwarp", mask, nullptr, [](void* const*, unsigned) {}, true, place);
}

namespace cuda_emulator {

template <typename F>
void for_each_lane(unsigned mask, F&& function) {
  for (; mask != 0; mask &= mask - 1) function(static_cast<unsigned>(std::countr_zero(mask)));
}

// Every lane receives the value of lane `source`; where that lane takes no part, the bytes 0xFF.
template <typename T>
T shuffle(const char* name, unsigned mask, T value, unsigned source, Place place) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8);
  struct Exchange {
    T value, received;
    unsigned source;
  } exchange{value, value, source};
  warp_meeting(
      name, mask, &exchange,
      [](void* const* lanes, unsigned present) {
        for_each_lane(present, [&](unsigned i) {
          Exchange& to = *static_cast<Exchange*>(lanes[i]);
          if (present >> to.source & 1) {
            to.received = static_cast<Exchange*>(lanes[to.source])->value;
          } else {
            std::memset(static_cast<void*>(&to.received), 0xFF, sizeof(T));
          }
        });
      },
      false, place);
  return exchange.received;
}

// Every lane receives the values of all, folded with a captureless `operation` in the order of lanes.
template <typename T, typename Operation>
T reduce(const char* name, unsigned mask, T value, Operation, Place place) {
  warp_meeting(
      name, mask, &value,
      [](void* const* lanes, unsigned present) {
        const auto at = [&](unsigned i) -> T& { return *static_cast<T*>(lanes[i]); };
        T all = at(static_cast<unsigned>(std::countr_zero(present)));
        for_each_lane(present & (present - 1), [&](unsigned i) { all = Operation{}(all, at(i)); });
        for_each_lane(present, [&](unsigned i) { at(i) = all; });
      },
      false, place);
  return value;
}

}  // namespace cuda_emulator

template <typename T>
T __shfl_sync(unsigned mask, T value, int source, int width = warpSize, CUDA_EMULATOR_PLACE) {
  const unsigned lane = cuda_emulator::lane(), segment = static_cast<unsigned>(width) - 1;
  return cuda_emulator::shuffle("__shfl_sync", mask, value,
                                (lane & ~segment) | (static_cast<unsigned>(source) & segment), place);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = warpSize, CUDA_EMULATOR_PLACE) {
  const unsigned lane = cuda_emulator::lane(), source = lane ^ (static_cast<unsigned>(bits) & 31);
  const unsigned end =
      (lane | (static_cast<unsigned>(width) - 1)) + 1;  // lower segments may be read, higher not
  return cuda_emulator::shuffle("__shfl_xor_sync", mask, value, source < end ? source : lane, place);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = warpSize, CUDA_EMULATOR_PLACE) {
  const unsigned lane = cuda_emulator::lane(), within = lane & (static_cast<unsigned>(width) - 1);
  delta &= 31;  // as the instruction does
  return cuda_emulator::shuffle("__shfl_up_sync", mask, value, within < delta ? lane : lane - delta, place);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = warpSize, CUDA_EMULATOR_PLACE) {
  const unsigned lane = cuda_emulator::lane(), within = lane & (static_cast<unsigned>(width) - 1);
  delta &= 31;
  return cuda_emulator::shuffle("__shfl_down_sync", mask, value,
                                within + delta < static_cast<unsigned>(width) ? lane + delta : lane, place);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, CUDA_EMULATOR_PLACE) {
  return cuda_emulator::reduce("__ballot_sync", mask, predicate != 0 ? 1u << cuda_emulator::lane() : 0u,
                               std::bit_or<unsigned>{}, place);
}
inline int __any_sync(unsigned mask, int predicate, CUDA_EMULATOR_PLACE) {
  return cuda_emulator::reduce("__any_sync", mask, int{predicate != 0}, std::bit_or<int>{}, place);
}
inline int __all_sync(unsigned mask, int predicate, CUDA_EMULATOR_PLACE) {
  return cuda_emulator::reduce("__all_sync", mask, int{predicate != 0}, std::bit_and<int>{}, place);
}
// The lanes whose value has the same bits.
template <typename T>
unsigned __match_any_sync(unsigned mask, T value, CUDA_EMULATOR_PLACE) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8);
  struct Match {
    T value;
    unsigned lanes;
  } match{value, 0};
  cuda_emulator::warp_meeting(
      "__match_any_sync", mask, &match,
      [](void* const* lanes, unsigned present) {
        cuda_emulator::for_each_lane(present, [&](unsigned i) {
          Match& own = *static_cast<Match*>(lanes[i]);
          cuda_emulator::for_each_lane(present, [&](unsigned j) {
            const Match& other = *static_cast<Match*>(lanes[j]);
            if (std::memcmp(&own.value, &other.value, sizeof(T)) == 0) own.lanes |= 1u << j;
          });
        });
      },
      false, place);
  return match.lanes;
}
template <typename T>
concept CudaReducible = std::same_as<T, int> || std::same_as<T, unsigned>;
template <CudaReducible T>
T __reduce_add_sync(unsigned mask, T value, CUDA_EMULATOR_PLACE) {
  const auto sum = [](T a, T b) {
    return static_cast<T>(static_cast<unsigned>(a) + static_cast<unsigned>(b));
  };
  return cuda_emulator::reduce("__reduce_add_sync", mask, value, sum, place);
}
template <CudaReducible T>
T __reduce_max_sync(unsigned mask, T value, CUDA_EMULATOR_PLACE) {
  const auto larger = [](T a, T b) { return std::max(a, b); };
  return cuda_emulator::reduce("__reduce_max_sync", mask, value, larger, place);
}
template <CudaReducible T>
T __reduce_min_sync(unsigned mask, T value, CUDA_EMULATOR_PLACE) {
  const auto smaller = [](T a, T b) { return std::min(a, b); };
  return cuda_emulator::reduce("__reduce_min_sync", mask, value, smaller, place);
}
inline unsigned __reduce_or_sync(unsigned mask, unsigned value, CUDA_EMULATOR_PLACE) {
  return cuda_emulator::reduce("__reduce_or_sync", mask, value, std::bit_or<unsigned>{}, place);
}
inline unsigned __reduce_and_sync(unsigned mask, unsigned value, CUDA_EMULATOR_PLACE) {
  return cuda_emulator::reduce("__reduce_and_sync", mask, value, std::bit_and<unsigned>{}, place);
}
#undef CUDA_EMULATOR_PLACE

// --- Memory ------------------------------------------------------------------------------------------------

// Relaxed, as CUDA's are: they order nothing else.
template <typename T>
concept CudaAtomic = std::same_as<T, int> || std::same_as<T, unsigned> || std::same_as<T, unsigned long long>;

namespace cuda_emulator {
template <typename T, typename Operation>
T update(T* address, Operation&& operation) {
  std::atomic_ref<T> target(*address);
  T old = target.load(std::memory_order_relaxed);
  while (!target.compare_exchange_weak(old, operation(old), std::memory_order_relaxed)) {
  }
  return old;
}
}  // namespace cuda_emulator

template <CudaAtomic T>
T atomicAdd(T* address, std::type_identity_t<T> value) {
  return std::atomic_ref<T>(*address).fetch_add(value, std::memory_order_relaxed);
}
template <CudaAtomic T>
T atomicSub(T* address, std::type_identity_t<T> value) {
  return std::atomic_ref<T>(*address).fetch_sub(value, std::memory_order_relaxed);
}
template <CudaAtomic T>
T atomicOr(T* address, std::type_identity_t<T> value) {
  return std::atomic_ref<T>(*address).fetch_or(value, std::memory_order_relaxed);
}
template <CudaAtomic T>
T atomicAnd(T* address, std::type_identity_t<T> value) {
  return std::atomic_ref<T>(*address).fetch_and(value, std::memory_order_relaxed);
}
template <CudaAtomic T>
T atomicExch(T* address, std::type_identity_t<T> value) {
  return std::atomic_ref<T>(*address).exchange(value, std::memory_order_relaxed);
}
template <CudaAtomic T>
T atomicMax(T* address, std::type_identity_t<T> value) {
  return cuda_emulator::update(address, [=](T old) { return std::max(old, value); });
}
template <CudaAtomic T>
T atomicMin(T* address, std::type_identity_t<T> value) {
  return cuda_emulator::update(address, [=](T old) { return std::min(old, value); });
}
template <CudaAtomic T>
T atomicCAS(T* address, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  std::atomic_ref<T>(*address).compare_exchange_strong(expected, value, std::memory_order_relaxed);
  return expected;
}
inline unsigned atomicInc(unsigned* address, unsigned limit) {
  return cuda_emulator::update(address, [=](unsigned old) { return old >= limit ? 0 : old + 1; });
}
inline void __threadfence() { cuda_emulator::fence(); }
inline void __threadfence_block() { cuda_emulator::fence(); }
template <typename T>
T __ldg(const T* address) {
  return *address;
}
template <typename T>
T __ldcs(const T* address) {
  return *address;
}
template <typename T>
T __ldcg(const T* address) {
  return *address;
}
template <typename T>
void __stcs(T* address, std::type_identity_t<T> value) {
  *address = value;
}
template <typename T>
void __stcg(T* address, std::type_identity_t<T> value) {
  *address = value;
}

// --- Bits and numbers --------------------------------------------------------------------------------------

using std::max;
using std::min;
inline unsigned __float_as_uint(float value) { return std::bit_cast<unsigned>(value); }
inline int __float_as_int(float value) { return std::bit_cast<int>(value); }
inline float __uint_as_float(unsigned bits) { return std::bit_cast<float>(bits); }
inline float __int_as_float(int bits) { return std::bit_cast<float>(bits); }
inline long long __double_as_longlong(double value) { return std::bit_cast<long long>(value); }
inline double __longlong_as_double(long long bits) { return std::bit_cast<double>(bits); }
inline int __popc(unsigned bits) { return std::popcount(bits); }
inline int __popcll(unsigned long long bits) { return std::popcount(bits); }
inline int __clz(int bits) { return std::countl_zero(static_cast<unsigned>(bits)); }
inline int __clzll(long long bits) { return std::countl_zero(static_cast<unsigned long long>(bits)); }
inline int __ffs(int bits) { return __builtin_ffs(bits); }
inline int __ffsll(long long bits) { return __builtin_ffsll(bits); }
inline unsigned __brev(unsigned bits) {
  bits = (bits >> 1 & 0x55555555u) | (bits & 0x55555555u) << 1;
  bits = (bits >> 2 & 0x33333333u) | (bits & 0x33333333u) << 2;
  bits = (bits >> 4 & 0x0F0F0F0Fu) | (bits & 0x0F0F0F0Fu) << 4;
  return __builtin_bswap32(bits);
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
  return static_cast<unsigned>((std::uint64_t{high} << 32 | low) << (shift & 31) >> 32);
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
  return static_cast<unsigned>((std::uint64_t{high} << 32 | low) >> (shift & 31));
}
// Four bytes picked from the eight of b:a; bit 3 of a selector spreads the sign of the byte.
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selectors) {
  const std::uint64_t bytes = std::uint64_t{b} << 32 | a;
  unsigned result = 0;
  for (int i = 0; i < 4; ++i) {
    const unsigned selector = selectors >> (4 * i) & 15;
    unsigned byte = static_cast<unsigned>(bytes >> (8 * (selector & 7))) & 255;
    if (selector & 8) byte = byte & 128 ? 255 : 0;
    result |= byte << (8 * i);
  }
  return result;
}
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>(std::uint64_t{a} * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<unsigned long long>(Wide{a} * b >> 64);
}
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fmaf_rn(float a, float b, float c) { return std::fmaf(a, b, c); }
