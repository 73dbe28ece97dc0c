// Which backend and which devices a choice means, on machines of every kind.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "afp/backend.hpp"
#include "expect_error.hpp"
#include "host/core/piece_pipeline.hpp"
#include "host/cuda/cuda_backend.hpp"

namespace afp {
namespace {

using Indices = std::vector<int>;
using Device = CudaMachine::Device;

const Device kH200{"NVIDIA H200", 9, 0}, kA100{"NVIDIA A100", 8, 0}, kT4{"Tesla T4", 7, 5};

CudaMachine machine_of(std::vector<Device> devices) {
  return {.in_build = true, .problem = {}, .devices = std::move(devices)};
}
CudaMachine without_driver() {
  return {.in_build = true, .problem = "no NVIDIA driver found, expected one for CUDA 13.0", .devices = {}};
}
CudaMachine without_cuda() {
  return {.in_build = false, .problem = {}, .devices = {}};
}

Indices chosen(BackendKind kind, const DeviceChoice& devices, const CudaMachine& machine) {
  const ChosenDevices found = choose_devices({kind, devices}, machine);
  EXPECT_EQ(found.why_not_cuda, "");
  return found.indices;
}

TEST(BackendKind, IsReadAsItIsPrinted) {
  for (const BackendKind kind : {BackendKind::automatic, BackendKind::cpu, BackendKind::cuda})
    EXPECT_EQ(parse_backend_kind(to_string(kind)), kind);
  EXPECT_EQ(parse_backend_kind("auto"), BackendKind::automatic);
  EXPECT_EQ(parse_backend_kind("cpu"), BackendKind::cpu);
  EXPECT_EQ(parse_backend_kind("cuda"), BackendKind::cuda);
  for (const char* text : {"", "automatic", "CUDA", "gpu", "cpu ", "cud", "cudaa"})
    EXPECT_EQ(parse_backend_kind(text), std::nullopt) << text;
}

TEST(DeviceChoice, IsIndicesOrAll) {
  EXPECT_EQ(parse_device_choice("0"), (DeviceChoice{false, {0}}));
  EXPECT_EQ(parse_device_choice("17"), (DeviceChoice{false, {17}}));
  EXPECT_EQ(parse_device_choice("2,0,1"), (DeviceChoice{false, {2, 0, 1}}));
  EXPECT_EQ(parse_device_choice("all"), (DeviceChoice{true, {}}));
  for (const char* text : {"", ",", "0,", ",0", "0,,1", "-1", "-0", "+1", "0x1", "1.0", "0 1", " 0", "0,1,0",
                           "all,0", "ALL", "a", "99999999999", "0;1", "1,-2"})
    EXPECT_EQ(parse_device_choice(text), std::nullopt) << text;
  EXPECT_FALSE(DeviceChoice().is_given());
  EXPECT_TRUE((DeviceChoice{true, {}}.is_given()));
  EXPECT_TRUE((DeviceChoice{false, {0}}.is_given()));
}

TEST(ChooseDevices, TheCpuAsksNoDriver) {
  for (const CudaMachine& machine : {machine_of({kH200}), without_driver(), without_cuda()}) {
    EXPECT_EQ(chosen(BackendKind::cpu, {}, machine), Indices{});
    for (const DeviceChoice& devices : {DeviceChoice{true, {}}, DeviceChoice{false, {0}}})
      expect_error<UsageError>(
          [&] {
            (void)choose_devices({BackendKind::cpu, devices}, machine);
          },
          "the CPU backend has no devices to choose from; expected the backend cuda or auto");
  }
}

TEST(ChooseDevices, TheFirstThatCanBeUsed) {
  for (const BackendKind kind : {BackendKind::automatic, BackendKind::cuda}) {
    EXPECT_EQ(chosen(kind, {}, machine_of({kH200})), Indices{0});
    EXPECT_EQ(chosen(kind, {}, machine_of({kA100, kH200})), Indices{0});
    EXPECT_EQ(chosen(kind, {}, machine_of({kT4, kA100, kH200})), Indices{1});
  }
}

TEST(ChooseDevices, AllThatCanBeUsed) {
  for (const BackendKind kind : {BackendKind::automatic, BackendKind::cuda}) {
    EXPECT_EQ(chosen(kind, {true, {}}, machine_of({kH200, kT4, kA100})), (Indices{0, 2}));
    EXPECT_EQ(chosen(kind, {true, {}}, machine_of({kA100})), Indices{0});
  }
}

TEST(ChooseDevices, IndicesInTheirOrder) {
  for (const BackendKind kind : {BackendKind::automatic, BackendKind::cuda})
    EXPECT_EQ(chosen(kind, {false, {2, 0}}, machine_of({kH200, kT4, kA100})), (Indices{2, 0}));
}

TEST(ChooseDevices, AnIndexThatIsNotThere) {
  for (const BackendKind kind : {BackendKind::automatic, BackendKind::cuda}) {
    expect_error<UsageError>(
        [&] {
          (void)choose_devices({kind, {false, {1}}}, machine_of({kH200}));
        },
        "there is no device 1: found 0 (NVIDIA H200), expected 0");
    expect_error<UsageError>(
        [&] {
          (void)choose_devices({kind, {false, {0, 2}}}, machine_of({kT4, kH200}));
        },
        "there is no device 2: found 0 (Tesla T4), 1 (NVIDIA H200), expected 0 to 1");
    expect_error<UsageError>(
        [&] {
          (void)choose_devices({kind, {false, {-1}}}, machine_of({kH200}));
        },
        "there is no device -1: found 0 (NVIDIA H200), expected 0");
  }
}

TEST(ChooseDevices, ADeviceThatIsTooOld) {
  const std::string old = "device 1 (Tesla T4) has compute capability 7.5, expected 8.0 or higher";
  for (const BackendKind kind : {BackendKind::automatic, BackendKind::cuda})
    expect_error<DeviceError>(
        [&] {
          (void)choose_devices({kind, {false, {0, 1}}}, machine_of({kH200, kT4}));
        },
        old);
  EXPECT_EQ(unavailable(machine_of({kH200, kT4})), "");

  const CudaMachine machine = machine_of({{"GeForce GTX 1080", 6, 1}, kT4});
  const std::string why =
      "device 0 (GeForce GTX 1080) has compute capability 6.1, expected 8.0 or higher; " + old;
  EXPECT_EQ(unavailable(machine), why);
  for (const bool all : {false, true}) {
    expect_error<DeviceError>(
        [&] {
          (void)choose_devices({BackendKind::cuda, {all, {}}}, machine);
        },
        "the CUDA backend cannot be used: " + why);
    const ChosenDevices fallback = choose_devices({BackendKind::automatic, {all, {}}}, machine);
    EXPECT_EQ(fallback.indices, Indices{});
    EXPECT_EQ(fallback.why_not_cuda, why);
  }
}

TEST(ChooseDevices, AMachineWithoutDevices) {
  const struct {
    CudaMachine machine;
    std::string why;
  } kCases[] = {{without_driver(), "no NVIDIA driver found, expected one for CUDA 13.0"},
                {machine_of({}), "no CUDA device found, expected one at least"}};
  for (const auto& [machine, why] : kCases) {
    EXPECT_EQ(unavailable(machine), why);
    for (const bool all : {false, true}) {
      const ChosenDevices fallback = choose_devices({BackendKind::automatic, {all, {}}}, machine);
      EXPECT_EQ(fallback.indices, Indices{});
      EXPECT_EQ(fallback.why_not_cuda, why);
    }
    // Indices ask for CUDA too.
    for (const BackendChoice& choice :
         {BackendChoice{BackendKind::cuda, {}}, BackendChoice{BackendKind::cuda, {true, {}}},
          BackendChoice{BackendKind::cuda, {false, {0}}},
          BackendChoice{BackendKind::automatic, {false, {0}}}})
      expect_error<DeviceError>([&] { (void)choose_devices(choice, machine); },
                                "the CUDA backend cannot be used: " + why);
  }
}

TEST(ChooseDevices, ABuildWithoutCuda) {
  EXPECT_EQ(unavailable(without_cuda()), "this build has no CUDA backend");
  for (const bool all : {false, true}) {
    const ChosenDevices fallback = choose_devices({BackendKind::automatic, {all, {}}}, without_cuda());
    EXPECT_EQ(fallback.indices, Indices{});
    EXPECT_EQ(fallback.why_not_cuda, "this build has no CUDA backend");
  }
  for (const BackendChoice& choice :
       {BackendChoice{BackendKind::cuda, {}}, BackendChoice{BackendKind::cuda, {true, {}}},
        BackendChoice{BackendKind::automatic, {false, {0}}}})
    expect_error<UsageError>([&] { (void)choose_devices(choice, without_cuda()); },
                             "this build has no CUDA backend; expected the backend cpu or auto");
}

// --- This machine ----------------------------------------------------------------------------------

TEST(MakeBackend, TheCpu) {
  const ChosenBackend chosen = make_backend({BackendKind::cpu, {}}, 2);
  EXPECT_EQ(chosen.backend->description(), make_cpu_backend(2)->description());
  const BackendUse use = chosen.use();
  EXPECT_EQ(use.name, "cpu");
  EXPECT_EQ(use.device, "");
  EXPECT_EQ(use.peak_device_memory, 0u);
  EXPECT_EQ(use.why_not_cuda, "");
}

TEST(MakeBackend, FollowsWhatTheMachineHas) {
  const CudaMachine machine = cuda_machine();
  EXPECT_EQ(machine.in_build, !cuda_build().empty());
  const std::string why = unavailable(machine);
  if (why.empty()) {
    for (const BackendKind kind : {BackendKind::automatic, BackendKind::cuda}) {
      const BackendUse use = make_backend({kind, {}}, 1).use();
      EXPECT_EQ(use.name, "cuda");
      EXPECT_NE(use.device, "");
      EXPECT_EQ(use.why_not_cuda, "");
    }
    return;
  }
  EXPECT_EQ(why.find('\n'), std::string::npos) << why;
  const BackendUse use = make_backend({}, 1).use();
  EXPECT_EQ(use.name, "cpu");
  EXPECT_EQ(use.why_not_cuda, why);
  EXPECT_NO_THROW(check_backend({}));
  for (const BackendChoice& choice :
       {BackendChoice{BackendKind::cuda, {}}, BackendChoice{BackendKind::automatic, {false, {0}}}}) {
    if (machine.in_build) {
      expect_error<DeviceError>([&] { (void)make_backend(choice, 1); }, why, Message::part);
      expect_error<DeviceError>([&] { check_backend(choice); }, why, Message::part);
    } else {
      expect_error<UsageError>([&] { (void)make_backend(choice, 1); }, why, Message::part);
      expect_error<UsageError>([&] { check_backend(choice); }, why, Message::part);
    }
  }
}

// --- How a backend wants to be fed -----------------------------------------------------------------

TEST(MemoryShares, FollowTheBackendWithinTheBudget) {
  constexpr std::uint64_t kMiB = 1 << 20;
  const auto cpu = make_cpu_backend(1);
  RunOptions run;
  run.threads = 6;
  run.memory_budget = 512 * kMiB;
  const MemoryShares of_cpu = shares_of(run, *cpu);
  EXPECT_EQ(of_cpu.pieces, 8u);  // one a thread, one being read, one being written
  EXPECT_EQ(of_cpu.piece_bytes, kMiB);
  EXPECT_EQ(of_cpu.resident_bytes, 128 * kMiB);
  run.memory_budget = 64 * kMiB;
  EXPECT_EQ(shares_of(run, *cpu).piece_bytes, kMiB / 2);

  EXPECT_EQ(MemoryShares(2048 * kMiB, 4, 32 * kMiB).piece_bytes, 32 * kMiB);
  EXPECT_EQ(MemoryShares(1024 * kMiB, 4, 32 * kMiB).piece_bytes, 16 * kMiB);
  EXPECT_EQ(MemoryShares(64 * kMiB, 1000, 32 * kMiB).piece_bytes, kMiB / 4);
  EXPECT_EQ(MemoryShares(2048 * kMiB, 4, 1).piece_bytes, kMiB / 4);
  expect_error<UsageError>([] { (void)MemoryShares((64 << 20) - 1, 4, 1 << 20); }, "is too small",
                           Message::part);
}

// Of compute capability 8.0 and more, and still nothing for kernels that count in shared memory.
TEST(Devices, WithTooLittleSharedMemoryOrWithoutPoolsServeNobody) {
  const Device l4{"NVIDIA L4", 8, 9, 99 << 10}, slice{"NVIDIA A100-1C", 8, 0, 163 << 10, false};
  const CudaMachine machine = machine_of({l4, slice});
  EXPECT_EQ(unavailable(machine),
            "device 0 (NVIDIA L4) gives a block 99 KiB of shared memory, expected 163 KiB or more; device 1 "
            "(NVIDIA A100-1C) has no memory pools, expected a driver that offers them");
  EXPECT_EQ(choose_devices({}, machine).indices, Indices());
  EXPECT_EQ(choose_devices({}, machine_of({l4, kH200})).indices, Indices({1}));
}

}  // namespace
}  // namespace afp
