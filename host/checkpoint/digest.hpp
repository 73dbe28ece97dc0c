// Fast, non-cryptographic digests (XXH3) that tell whether bytes are the bytes they were.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

struct XXH3_state_s;

namespace afp {

// XXH3-128 of a stream of bytes; how the stream is cut into updates makes no difference.
class Digest128 {
 public:
  Digest128();

  void update(std::span<const std::byte> bytes);
  std::string hex() const;  // of everything so far: 32 lower-case digits, most significant first

 private:
  struct FreeState {
    void operator()(XXH3_state_s* state) const;
  };
  std::unique_ptr<XXH3_state_s, FreeState> state_;
};

std::uint64_t digest64(std::span<const std::byte> bytes);  // XXH3-64

}  // namespace afp
