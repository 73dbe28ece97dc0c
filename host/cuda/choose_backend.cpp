// make_backend, make_chain_runner: a BackendChoice carried out on this machine.
#include "host/cuda/cuda_backend.hpp"

namespace afp {
namespace {

// A choice of the CPU asks no driver.
ChosenDevices choose_here(const BackendChoice& choice) {
  return choose_devices(choice, choice.kind == BackendKind::cpu ? CudaMachine() : cuda_machine());
}

}  // namespace

void check_backend(const BackendChoice& choice) {
  (void)choose_here(choice);
}

ChosenBackend make_backend(const BackendChoice& choice, int threads) {
  ChosenDevices devices = choose_here(choice);
  ChosenBackend chosen;
  chosen.why_not_cuda = std::move(devices.why_not_cuda);
  chosen.backend =
      devices.indices.empty() ? make_cpu_backend(threads) : make_cuda_backend(devices.indices, threads);
  return chosen;
}

std::unique_ptr<ChainRunner> make_chain_runner(const BackendChoice& choice) {
  const ChosenDevices devices = choose_here(choice);
  return devices.indices.empty() ? nullptr : make_cuda_chain_runner(devices.indices.front());
}

BackendUse ChosenBackend::use() const {
  const DeviceUse device = backend->device_use();
  return {backend->name(), device.device, device.peak_memory, why_not_cuda};
}

}  // namespace afp
