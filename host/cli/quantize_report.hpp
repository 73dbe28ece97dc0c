// What `afp quantize` says when it is done, for people and for programs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "afp/quantize.hpp"

namespace afp::cli {

struct QuantizeReport {
  const QuantizeResult& result;
  std::optional<std::uint64_t> peak_memory;  // of a dry run: bytes that the real one is going to need
  bool verbose = false;                      // every tensor instead of the worst five, and why this backend
  bool dry_run() const { return peak_memory.has_value(); }
};

// `width` of the terminal, where there is one.
std::string quantize_text(const QuantizeReport& report, std::optional<std::size_t> width);
std::string quantize_json(const QuantizeReport& report);

}  // namespace afp::cli
