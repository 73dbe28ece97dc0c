// Bodies of safetensors_header.hpp: what sizes and offsets must be, and writing a header.
#include "host/checkpoint/safetensors_header.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <tuple>

#include "afp/error.hpp"
#include "afp/size.hpp"
#include "host/checkpoint/digest.hpp"
#include "host/checkpoint/foreign_file.hpp"
#include "host/checkpoint/safetensors_json.hpp"
#include "host/checkpoint/strict_json.hpp"

namespace afp {
namespace {

std::string text(std::uint64_t number) {
  return std::to_string(number);
}

// The bytes that dtype and shape ask for, with the tensor named in whatever is wrong with them.
std::uint64_t expected_bytes(const SafetensorsEntry& tensor, const std::string& file) {
  try {
    return tensor.bytes();
  } catch (const InputError& error) {
    throw InputError(error.what(), file, tensor.name);
  }
}

// Offsets must tile [0, data_bytes) in order; returns nothing, throws at the first that does not.
void check_layout(const std::vector<SafetensorsEntry>& tensors, std::uint64_t data_bytes,
                  const std::string& file) {
  std::uint64_t covered = 0;
  for (const SafetensorsEntry& tensor : tensors) {
    const auto fail = [&](const std::string& message) { throw InputError(message, file, tensor.name); };
    const std::string offsets = "data_offsets [" + text(tensor.begin) + ", " + text(tensor.end) + "]";
    if (tensor.begin > tensor.end) fail(offsets + " are out of order");
    if (tensor.begin < covered) {
      fail(offsets + " overlap the tensor before, which ends at " + text(covered));
    }
    if (tensor.begin > covered) {
      fail(offsets + " leave a gap: expected to begin at " + text(covered));
    }
    const std::uint64_t expected = expected_bytes(tensor, file);
    if (tensor.end - tensor.begin != expected) {
      fail(offsets + " span " + text(tensor.end - tensor.begin) + " bytes, expected " + text(expected) +
           " for " + std::string(dtype_name(tensor.dtype)) + " " + to_string(tensor.shape));
    }
    if (tensor.end > data_bytes) {
      fail("the file is cut short: " + offsets + ", but it holds only " + text(data_bytes) +
           " bytes of data");
    }
    covered = tensor.end;
  }
  if (covered != data_bytes) {
    throw InputError("the last " + text(data_bytes - covered) + " of " + text(data_bytes) +
                         " bytes of data belong to no tensor",
                     file);
  }
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view json, std::uint64_t file_size,
                                           const std::string& file_name) {
  if (!json.starts_with('{')) {
    throw InputError(json.empty() ? "header is empty, expected '{'" : "header does not start with '{'",
                     file_name);
  }
  require_utf8(json, "header", file_name);
  SafetensorsHeader header = parse_safetensors_json(json, file_name);
  header.data_begin = Size(8) + Size(json.size());
  header.digest = digest64(std::as_bytes(std::span(json)));
  // Stable: tensors without data share their offsets and keep the header's order.
  std::stable_sort(header.tensors.begin(), header.tensors.end(), [](const auto& a, const auto& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  check_layout(header.tensors, Size(file_size) - Size(header.data_begin), file_name);
  return header;
}

SafetensorsHeader read_safetensors_header(const File& file) {
  const std::uint64_t file_size = file.status().bytes;
  std::array<std::byte, 16> start = {};
  const std::size_t available = std::min<std::uint64_t>(file_size, start.size());
  file.read_at(0, std::span(start).first(available));
  const auto refuse = [&](const std::string& message) {
    const std::optional<std::string> kind = recognize_foreign_file(std::span(start).first(available));
    throw InputError(kind ? "is " + *kind + ", expected a safetensors file" : message, file.name());
  };
  if (file_size == 0) throw InputError("is empty, expected a safetensors file", file.name());
  if (file_size < 8) refuse("has " + text(file_size) + " bytes, too few for a safetensors file (at least 8)");

  std::uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = length << 8 | std::to_integer<std::uint64_t>(start[i]);
  if (length > kLongestSafetensorsHeader) {
    refuse("header length " + text(length) + " is above the limit of " + text(kLongestSafetensorsHeader) +
           "; is this a safetensors file?");
  }
  if (length > file_size - 8) {
    refuse("header length " + text(length) + " reaches past the end of the file (" + text(file_size) +
           " bytes)");
  }
  if (available > 8 && length > 0 && start[8] != std::byte{'{'}) refuse("header does not start with '{'");

  std::string json(length, '\0');
  file.read_at(8, std::as_writable_bytes(std::span(json)));
  return parse_safetensors_header(json, file_size, file.name());
}

std::vector<SafetensorsEntry> lay_out_tensors(const std::vector<TensorInfo>& tensors) {
  std::vector<SafetensorsEntry> entries;
  entries.reserve(tensors.size());
  std::uint64_t end = 0;
  for (const TensorInfo& tensor : tensors) {
    const std::uint64_t begin = end;
    end = Size(begin) + Size(tensor.bytes());
    entries.push_back({tensor, begin, end});
  }
  return entries;
}

namespace {

// "name":{...}
std::string header_entry(const std::string& key, const nlohmann::ordered_json& value) {
  try {
    return nlohmann::ordered_json(key).dump() + ':' + value.dump();
  } catch (const nlohmann::json::type_error&) {  // what the JSON library says of text that is not UTF-8
    throw InputError("name or metadata is not UTF-8", {}, key);
  }
}

std::string header_entry(const TensorInfo& tensor, std::uint64_t begin, std::uint64_t end) {
  return header_entry(
      tensor.name,
      {{"dtype", dtype_name(tensor.dtype)}, {"shape", tensor.shape}, {"data_offsets", {begin, end}}});
}

}  // namespace

std::uint64_t most_header_bytes(const TensorInfo& tensor, std::uint64_t largest_offset) {
  return header_entry(tensor, largest_offset, largest_offset).size() + 1;  // a comma
}

std::string serialize_safetensors_header(const std::vector<TensorInfo>& tensors,
                                         const std::map<std::string, std::string>& metadata) {
  std::string json = "{";
  const auto append = [&](const std::string& entry) {
    if (json.size() > 1) json += ',';
    json += entry;
  };
  if (!metadata.empty()) append(header_entry("__metadata__", metadata));
  std::set<std::string> taken = {"__metadata__"};
  for (const SafetensorsEntry& tensor : lay_out_tensors(tensors)) {
    if (!taken.insert(tensor.name).second) throw InputError("the name is taken", {}, tensor.name);
    append(header_entry(tensor, tensor.begin, tensor.end));
  }
  json += '}';
  json.append((8 - json.size() % 8) % 8, ' ');  // the length before it takes 8 bytes itself
  if (json.size() > kLongestSafetensorsHeader) {
    throw InputError("header of " + text(json.size()) + " bytes is above the limit of " +
                     text(kLongestSafetensorsHeader));
  }
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(json.size() >> (8 * i) & 0xff);
  return bytes + json;
}

}  // namespace afp
