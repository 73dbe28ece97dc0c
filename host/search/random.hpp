// Random numbers as a function of where they are used: the seed, the stream (a chain, an individual) and the
// step. No state is carried, so who computes which of them in which order changes nothing.
#pragma once

#include <Random123/philox.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "afp/philox.hpp"

namespace afp::search_detail {

// What a stream is for: equal seeds give each purpose numbers of its own.
enum class Purpose : std::uint32_t { start, sample, move, breed, design };

// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
class Philox {
 public:
  Philox(std::uint64_t seed, Purpose purpose)
      : key_{{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)}},
        purpose_(static_cast<std::uint32_t>(purpose)) {}

  // Four words of 32 bits.
  std::array<std::uint32_t, 4> operator()(std::uint32_t stream, std::uint64_t step) const {
    const r123::Philox4x32 generate;
    const auto words = generate(
        {{static_cast<std::uint32_t>(step), static_cast<std::uint32_t>(step >> 32), stream, purpose_}}, key_);
    return {words[0], words[1], words[2], words[3]};
  }

 private:
  r123::Philox4x32::key_type key_;
  std::uint32_t purpose_;
};

// Words one after another, for what needs many: each stream is a sequence.
class PhiloxSequence {
 public:
  PhiloxSequence(const Philox& philox, std::uint32_t stream, std::uint64_t first_step = 0)
      : philox_(philox), stream_(stream), step_(first_step) {}

  std::uint32_t next() {
    if (used_ == 4) {
      words_ = philox_(stream_, step_++);
      used_ = 0;
    }
    return words_[used_++];
  }
  std::uint32_t below(std::uint32_t count) { return draw_below(count, next()); }
  double unit() { return draw_unit(next()); }

 private:
  Philox philox_;
  std::uint32_t stream_;
  std::uint64_t step_;
  std::array<std::uint32_t, 4> words_{};
  std::size_t used_ = 4;
};

}  // namespace afp::search_detail
