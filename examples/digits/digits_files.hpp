// Loads the digits network and its held-out images from safetensors files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "digits_network.hpp"

namespace digits {

struct TestSet {
  std::vector<Image> images;
  std::vector<std::uint8_t> labels;  // one an image, below kClasses
};

// Both throw afp::Error for a file that cannot be read, and for a tensor that is missing or not
// what it should be.

// `path` is a checkpoint's folder or a safetensors file; weights are F32, F16 or BF16.
Network load_network(const std::filesystem::path& path);

// Reads test_images, U8 [n, 8, 8] with pixels 0..16, and test_labels, U8 [n].
TestSet load_test_set(const std::filesystem::path& path);

}  // namespace digits
