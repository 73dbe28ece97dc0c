// Bodies of cuda_machine.hpp.
#include "host/cuda/cuda_machine.hpp"

#include "afp/error.hpp"

namespace afp {
namespace {

std::string named(const CudaMachine& machine, std::size_t index) {
  return std::to_string(index) + " (" + machine.devices[index].name + ")";
}

// Of one that is not usable.
std::string shortcoming(const CudaMachine& machine, std::size_t index) {
  const CudaMachine::Device& device = machine.devices[index];
  const std::string text = "device " + named(machine, index);
  if (device.compute_major < kLeastComputeMajor)
    return text + " has compute capability " + std::to_string(device.compute_major) + "." +
           std::to_string(device.compute_minor) + ", expected " + std::to_string(kLeastComputeMajor) +
           ".0 or higher";
  if (device.block_shared < kLeastBlockShared)
    return text + " gives a block " + std::to_string(device.block_shared >> 10) +
           " KiB of shared memory, expected " + std::to_string(kLeastBlockShared >> 10) + " KiB or more";
  return text + " has no memory pools, expected a driver that offers them";
}

// Of a machine with one device at least.
void check_indices(const CudaMachine& machine, const std::vector<int>& indices) {
  const std::size_t count = machine.devices.size();
  for (const int index : indices) {
    if (index >= 0 && static_cast<std::size_t>(index) < count) continue;
    std::string found;
    for (std::size_t i = 0; i < count; ++i) found += (i == 0 ? "" : ", ") + named(machine, i);
    throw UsageError("there is no device " + std::to_string(index) + ": found " + found + ", expected " +
                     (count == 1 ? "0" : "0 to " + std::to_string(count - 1)));
  }
  for (const int index : indices) {
    const auto i = static_cast<std::size_t>(index);
    if (!machine.devices[i].is_usable()) throw DeviceError(shortcoming(machine, i));
  }
}

std::vector<int> usable_devices(const CudaMachine& machine) {
  std::vector<int> indices;
  for (std::size_t i = 0; i < machine.devices.size(); ++i)
    if (machine.devices[i].is_usable()) indices.push_back(static_cast<int>(i));
  return indices;
}

}  // namespace

std::string unavailable(const CudaMachine& machine) {
  if (!machine.in_build) return "this build has no CUDA backend";
  if (!machine.problem.empty()) return machine.problem;
  if (machine.devices.empty()) return "no CUDA device found, expected one at least";
  if (!usable_devices(machine).empty()) return "";
  std::string why;
  for (std::size_t i = 0; i < machine.devices.size(); ++i)
    why += (i == 0 ? "" : "; ") + shortcoming(machine, i);
  return why;
}

ChosenDevices choose_devices(const BackendChoice& choice, const CudaMachine& machine) {
  if (choice.kind == BackendKind::cpu) {
    if (choice.devices.is_given())
      throw UsageError("the CPU backend has no devices to choose from; expected the backend cuda or auto");
    return {};
  }
  const bool is_wanted = choice.kind == BackendKind::cuda || !choice.devices.indices.empty();
  if (!machine.in_build && is_wanted)
    throw UsageError("this build has no CUDA backend; expected the backend cpu or auto");
  if (machine.in_build && machine.problem.empty() && !machine.devices.empty() &&
      !choice.devices.indices.empty()) {
    check_indices(machine, choice.devices.indices);
    return {choice.devices.indices, {}};
  }
  if (std::string why = unavailable(machine); !why.empty()) {
    if (is_wanted) throw DeviceError("the CUDA backend cannot be used: " + why);
    return {{}, std::move(why)};
  }
  std::vector<int> indices = usable_devices(machine);
  if (!choice.devices.all) indices.resize(1);
  return {std::move(indices), {}};
}

}  // namespace afp
