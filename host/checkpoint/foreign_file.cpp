// Bodies of foreign_file.hpp: the beginnings by which other kinds of files are known.
#include "host/checkpoint/foreign_file.hpp"

#include <array>
#include <string_view>

namespace afp {
namespace {

struct Signature {
  std::string_view start;
  std::string_view kind;
};

using namespace std::string_view_literals;

constexpr std::array kSignatures = {
    Signature{"PK\x03\x04"sv, "a zip file, perhaps a PyTorch checkpoint"},
    Signature{"\x80\x02"sv, "a pickle file, perhaps a PyTorch checkpoint"},
    Signature{"\x80\x03"sv, "a pickle file"},
    Signature{"\x80\x04"sv, "a pickle file"},
    Signature{"\x80\x05"sv, "a pickle file"},
    Signature{"GGUF"sv, "a GGUF file"},
    Signature{"\x89HDF"sv, "an HDF5 file"},
    Signature{"\x93NUMPY"sv, "a NumPy file"},
    Signature{"version https://"sv, "a Git LFS pointer (the file itself was not downloaded)"},
    Signature{"<!DOCTYPE"sv, "an HTML page"},
    Signature{"<html"sv, "an HTML page"},
    Signature{"{"sv, "JSON text"},
};

}  // namespace

std::optional<std::string> recognize_foreign_file(std::span<const std::byte> start) {
  const std::string_view text(reinterpret_cast<const char*>(start.data()), start.size());
  for (const Signature& signature : kSignatures) {
    if (text.starts_with(signature.start)) return std::string(signature.kind);
  }
  return std::nullopt;
}

}  // namespace afp
