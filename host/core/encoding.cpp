// Text forms of Format, Block, ScaleKind and Encoding.
#include "afp/encoding.hpp"

#include <array>
#include <charconv>

#include "afp/error.hpp"

namespace afp {
namespace {

std::string quoted(std::string_view text) {
  return "'" + std::string(text) + "'";
}

// The digit after `letter` at text[at], or -1.
int digit_after(std::string_view text, std::size_t at, char letter) {
  if (at + 1 >= text.size() || text[at] != letter) return -1;
  const char digit = text[at + 1];
  return digit >= '0' && digit <= '9' ? digit - '0' : -1;
}

}  // namespace

Format parse_format(std::string_view text) {
  const int exponent_bits = digit_after(text, 0, 'E');
  const int mantissa_bits = digit_after(text, 2, 'M');
  if (text.size() != 4 || exponent_bits < 0 || mantissa_bits < 0)
    throw UsageError("not a Format: " + quoted(text) +
                     "; expected E<exponent bits>M<mantissa bits>, as E2M1");
  Format format{static_cast<std::uint8_t>(exponent_bits), static_cast<std::uint8_t>(mantissa_bits)};
  if (exponent_bits == 0 && mantissa_bits > 0)  // a uniform grid under its other name
    format = Format{1, static_cast<std::uint8_t>(mantissa_bits - 1)};
  if (!format.valid())
    throw UsageError("Format " + std::string(text) + " has " +
                     std::to_string(1 + exponent_bits + mantissa_bits) +
                     " bits with its sign; expected 2 to 8, at least one of them exponent");
  return format;
}

std::string to_string(Format format) {
  return "E" + std::to_string(format.exponent_bits) + "M" + std::to_string(format.mantissa_bits);
}

std::vector<Format> formats_of(int bits) {
  std::vector<Format> formats;
  for (int e = 1; e < bits; ++e)
    formats.push_back({static_cast<std::uint8_t>(e), static_cast<std::uint8_t>(bits - 1 - e)});
  return formats;
}

Block parse_block(std::string_view text) {
  if (text == "tensor") return {BlockKind::tensor, 0};
  if (text == "row") return {BlockKind::row, 0};
  for (const int size : {16, 32, 64, 128})
    if (text == std::to_string(size)) return {BlockKind::small, size};
  throw UsageError("not a block: " + quoted(text) + "; expected tensor, row, 16, 32, 64 or 128");
}

ScaleKind parse_scale(std::string_view text) {
  for (const ScaleKind kind : {ScaleKind::e8m0, ScaleKind::ue4m3})
    if (text == to_string(kind)) return kind;
  throw UsageError("not a scale: " + quoted(text) + "; expected e8m0 or ue4m3");
}

std::string to_string(Block block) {
  switch (block.kind) {
    case BlockKind::tensor:
      return "tensor";
    case BlockKind::row:
      return "row";
    case BlockKind::small:
      break;
  }
  return std::to_string(block.size);
}

std::string_view to_string(ScaleKind scale) {
  return scale == ScaleKind::e8m0 ? "e8m0" : "ue4m3";
}

Encoding parse_encoding(std::string_view text) {
  std::array<std::string_view, 3> parts;
  std::size_t count = 0;
  for (std::string_view rest = text;;) {
    const std::size_t slash = rest.find('/');
    if (count == parts.size())
      throw UsageError("not an Encoding: " + quoted(text) + "; expected FORMAT[+FORMAT]/BLOCK[/SCALE]");
    parts[count++] = rest.substr(0, slash);
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  if (count < 2)
    throw UsageError("not an Encoding: " + quoted(text) + "; expected FORMAT[+FORMAT]/BLOCK[/SCALE]");

  Encoding encoding;
  const std::size_t plus = parts[0].find('+');
  encoding.format = parse_format(parts[0].substr(0, plus));
  if (plus != std::string_view::npos) encoding.alternative = parse_format(parts[0].substr(plus + 1));
  encoding.block = parse_block(parts[1]);
  encoding.scale = count == 3             ? parse_scale(parts[2])
                   : encoding.alternative ? ScaleKind::ue4m3
                                          : default_scale(encoding.block);
  if (encoding.alternative) {
    if (encoding.scale != ScaleKind::ue4m3)
      throw UsageError("Encoding " + quoted(text) +
                       ": two Formats need the scale ue4m3, whose top bit chooses");
    if (encoding.alternative->bits() != encoding.format.bits())
      throw UsageError("Encoding " + quoted(text) + ": its Formats have " +
                       std::to_string(encoding.format.bits()) + " and " +
                       std::to_string(encoding.alternative->bits()) + " bits; expected equal");
    if (*encoding.alternative == encoding.format)
      throw UsageError("Encoding " + quoted(text) + " names the same Format twice");
  }
  return encoding;
}

std::string to_string(const Encoding& encoding) {
  std::string text = to_string(encoding.format);
  if (encoding.alternative) text += "+" + to_string(*encoding.alternative);
  return text + "/" + to_string(encoding.block) + "/" + std::string(to_string(encoding.scale));
}

ScaleKind default_scale(Block block) {
  return block.kind == BlockKind::small ? ScaleKind::ue4m3 : ScaleKind::e8m0;
}

std::optional<Encoding> default_encoding(int bits, Block block, ScaleKind scale) {
  if (scale != ScaleKind::ue4m3) return std::nullopt;
  const std::vector<Format> formats = formats_of(bits);
  Encoding encoding{formats[0], std::nullopt, block, scale};
  if (formats.size() > 1) encoding.alternative = formats[1];
  return encoding;
}

}  // namespace afp
