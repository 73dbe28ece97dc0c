// Atomic additions whose address space the compiler cannot see for itself, and tables in shared memory that
// one adds to without branches.
#pragma once

#include "kernels/device.hpp"

namespace afp::kernels {

// To global memory. (Of a pointer out of a struct the compiler does not know that: it would also write a
// path for shared memory.)
__device__ inline void add_global(unsigned long long* address, unsigned long long amount) {
#if defined(__CUDA_ARCH__)
  asm volatile("red.global.add.u64 [%0], %1;" ::"l"(__cvta_generic_to_global(address)), "l"(amount)
               : "memory");
#else
  atomicAdd(address, amount);
#endif
}

// A table in shared memory that is added to by byte offsets.
class SharedTable {
 public:
  __device__ SharedTable(unsigned* table, unsigned bytes)
      : bytes_(bytes),
#if defined(__CUDA_ARCH__)
        address_(static_cast<unsigned>(__cvta_generic_to_shared(table)))
#else
        address_(reinterpret_cast<unsigned char*>(table))
#endif
  {
  }

  __device__ bool holds(unsigned offset) const {
    return offset < bytes_;
  }

  // `offset` within the table or behind it.
  __device__ void add(unsigned offset, unsigned amount) const {
#if defined(__CUDA_ARCH__)
    asm volatile("red.shared.add.u32 [%0], %1;" ::"r"(address_ + offset), "r"(amount) : "memory");
#else
    atomicAdd(reinterpret_cast<unsigned*>(address_ + offset), amount);
#endif
  }

  // Any `offset`: what the table does not hold goes to `spare`, an offset behind it. (A conditional addition
  // would be a branch.)
  __device__ void add_or_spare(unsigned offset, unsigned spare, unsigned amount) const {
    add(offset < spare ? offset : spare, amount);
  }

 private:
  unsigned bytes_;
#if defined(__CUDA_ARCH__)
  unsigned address_;
#else
  unsigned char* address_;
#endif
};

}  // namespace afp::kernels
