// Scalar packing and unpacking of N-bit codes, one code at a time: the definition that vector code is
// tested against. GB/s count codes as one byte each; the ceiling is copying as many bytes.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "afp/format.hpp"
#include "afp/packing.hpp"
#include "harness.hpp"
#include "weights.hpp"

namespace afp::bench {
namespace {

constexpr std::uint64_t kCodes = std::uint64_t{1} << 21;
constexpr std::uint64_t kSeed = 11;

std::vector<std::uint8_t> random_codes(int bits) {
  std::vector<std::uint8_t> codes;
  codes.reserve(kCodes);
  for (const std::uint16_t weight : make_rows(Tails::gaussian, kSeed, 1, kCodes))
    codes.push_back(static_cast<std::uint8_t>(weight & ((1u << bits) - 1)));
  return codes;
}

void add_bits(int bits) {
  add("pack/N:" + std::to_string(bits), [=](benchmark::State& state) {
    const std::vector<std::uint8_t> codes = random_codes(bits);
    std::vector<std::uint8_t> row(packed_bytes(kCodes, bits));
    const double seconds = best_seconds(state, 1, [&] {
      std::fill(row.begin(), row.end(), std::uint8_t{0});
      for (std::uint64_t i = 0; i < kCodes; ++i) pack_code(row.data(), i, bits, codes[i]);
    });
    report(state, {seconds, kCodes, kCodes, copy_ceiling(std::as_bytes(std::span(codes)), 1)});
  });
  add("unpack/N:" + std::to_string(bits), [=](benchmark::State& state) {
    std::vector<std::uint8_t> codes = random_codes(bits);
    std::vector<std::uint8_t> row(packed_bytes(kCodes, bits));
    for (std::uint64_t i = 0; i < kCodes; ++i) pack_code(row.data(), i, bits, codes[i]);
    const double seconds = best_seconds(state, 1, [&] {
      for (std::uint64_t i = 0; i < kCodes; ++i)
        codes[i] = static_cast<std::uint8_t>(unpack_code(row.data(), i, bits));
    });
    report(state, {seconds, kCodes, kCodes, copy_ceiling(std::as_bytes(std::span(codes)), 1)});
  });
}

}  // namespace
}  // namespace afp::bench

int main(int argc, char** argv) {
  for (int bits = afp::kMinBits; bits <= afp::kMaxBits; ++bits) afp::bench::add_bits(bits);
  return afp::bench::run(argc, argv);
}
