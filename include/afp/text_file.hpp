// Plans, cost tables, reports and rules as files: read whole, written whole or not at all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace afp {

// Throws InputError where the file cannot be opened or is longer than `limit` bytes, IoError on a failed
// read.
std::string read_text(const std::filesystem::path& path, std::uint64_t limit);

// Throws UsageError unless write_text() has a folder to write `path` into; with `may_exist` false also where
// something is there already. To be called before work whose result goes there.
void require_writable(const std::filesystem::path& path, bool may_exist);

// Under its name, which may be that of an older file, the text appears complete and on the disk, or not at
// all.
void write_text(const std::filesystem::path& path, std::string_view text);

}  // namespace afp
