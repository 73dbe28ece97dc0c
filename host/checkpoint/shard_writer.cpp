// Bodies of shard_writer.hpp.
#include "host/checkpoint/shard_writer.hpp"

#include <utility>

#include "afp/error.hpp"
#include "afp/size.hpp"
#include "host/checkpoint/quote.hpp"

namespace afp {
namespace {

// The disk starts on what is written this often, so that the fsync at the end has little left to do.
constexpr std::uint64_t kWritebackEvery = std::uint64_t{32} << 20;

}  // namespace

ShardWriter::ShardWriter(std::filesystem::path final_path, const std::vector<TensorInfo>& tensors,
                         const std::map<std::string, std::string>& metadata)
    : tensors_(lay_out_tensors(tensors)), pending_(std::move(final_path)) {
  const std::string header = serialize_safetensors_header(tensors, metadata);
  data_begin_ = header.size();
  data_bytes_ = tensors_.empty() ? 0 : tensors_.back().end;
  // Costs a millisecond a GiB on ext4 and makes the writes themselves faster: no blocks to look for.
  pending_.file().reserve(Size(data_begin_) + Size(data_bytes_));
  pending_.file().write_at(0, std::as_bytes(std::span(header)));
}

void ShardWriter::write(std::size_t tensor, std::uint64_t offset, std::span<const std::byte> data) {
  if (tensor >= tensors_.size()) {
    throw UsageError("tensor " + std::to_string(tensor) + " of " + std::to_string(tensors_.size()) +
                     " cannot be written");
  }
  const SafetensorsEntry& entry = tensors_[tensor];
  const std::uint64_t size = entry.end - entry.begin;
  if (offset > size || data.size() > size - offset) {
    throw UsageError("bytes " + std::to_string(offset) + " + " + std::to_string(data.size()) + " of tensor " +
                     in_quotes(entry.name) + " are past its end (" + std::to_string(size) + " bytes)");
  }
  pending_.file().write_at(data_begin_ + entry.begin + offset, data);
  const std::uint64_t before = written_.fetch_add(data.size());
  if (before / kWritebackEvery != (before + data.size()) / kWritebackEvery)
    pending_.file().start_writeback(0, 0);
}

void ShardWriter::commit() {
  if (written_ != data_bytes_) {
    throw UsageError("cannot complete a shard: " + std::to_string(written_) + " of " +
                     std::to_string(data_bytes_) + " bytes were written");
  }
  pending_.commit();
}

}  // namespace afp
