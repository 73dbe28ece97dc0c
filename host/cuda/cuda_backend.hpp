// The CUDA backend as the choice of a backend sees it. Two sources have these bodies: those of the backend,
// or no_cuda.cpp in a build without it.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "afp/backend.hpp"
#include "afp/chain_runner.hpp"
#include "host/cuda/cuda_machine.hpp"

namespace afp {

// What the driver says. Starts no work on any device; never throws but for want of memory.
CudaMachine cuda_machine();

// On these devices, one at least, each usable. `threads` of the CPU do what is left to it, 0: as many as the
// machine has. Throws DeviceError where a device fails.
std::unique_ptr<Backend> make_cuda_backend(std::span<const int> devices, int threads);

// Of chains of annealing, on this device. Throws DeviceError where it fails.
std::unique_ptr<ChainRunner> make_cuda_chain_runner(int device);

}  // namespace afp
