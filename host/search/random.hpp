// Random numbers as a function of where they are used: the seed, the stream (a chain, an individual) and the
// step. No state is carried, so who computes which of them in which order changes nothing.
#pragma once

#include <Random123/philox.h>

#include <array>
#include <cstdint>

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

// A word or half a word made a number below `count`, evenly but for one part in 2^32 (2^16) a value.
inline std::uint32_t below(std::uint32_t count, std::uint32_t word) {
  return static_cast<std::uint32_t>((std::uint64_t{word} * count) >> 32);
}
inline std::uint32_t below16(std::uint32_t count, std::uint32_t half_word) {
  return (half_word * count) >> 16;
}

// In (0, 1).
inline double unit(std::uint32_t word) {
  return (static_cast<double>(word) + 0.5) * 0x1p-32;
}

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
  std::uint32_t below(std::uint32_t count) { return search_detail::below(count, next()); }
  double unit() { return search_detail::unit(next()); }

 private:
  Philox philox_;
  std::uint32_t stream_;
  std::uint64_t step_;
  std::array<std::uint32_t, 4> words_{};
  std::size_t used_ = 4;
};

}  // namespace afp::search_detail
