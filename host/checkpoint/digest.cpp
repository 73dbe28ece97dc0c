// Bodies of digest.hpp. xxHash's own run-time dispatch is used where the library has it: its plain form
// is half as fast, and digesting is one of the larger parts of copying a checkpoint.
#include "host/checkpoint/digest.hpp"

#ifdef AFP_XXHASH_DISPATCH
#include <xxh_x86dispatch.h>  // redirects the functions below
#else
#include <xxhash.h>
#endif

#include <new>

namespace afp {

void Digest128::FreeState::operator()(XXH3_state_s* state) const {
  XXH3_freeState(state);
}

Digest128::Digest128() : state_(XXH3_createState()) {
  if (state_ == nullptr) throw std::bad_alloc();
  XXH3_128bits_reset(state_.get());
}

void Digest128::update(std::span<const std::byte> bytes) {
  XXH3_128bits_update(state_.get(), bytes.data(), bytes.size());
}

std::string Digest128::hex() const {
  XXH128_canonical_t canonical = {};  // big-endian
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_.get()));
  constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : canonical.digest) {
    text += kHex[byte >> 4];
    text += kHex[byte & 15];
  }
  return text;
}

std::uint64_t digest64(std::span<const std::byte> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

}  // namespace afp
