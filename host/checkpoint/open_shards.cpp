// Bodies of open_shards.hpp.
#include "host/checkpoint/open_shards.hpp"

#include <algorithm>

#include "afp/error.hpp"

namespace afp {
namespace {

constexpr std::size_t kMostOpen = 16;  // readers move from shard to shard: two are in use, rarely more

}  // namespace

std::size_t OpenShards::add(std::filesystem::path path, const FileStatus& status) {
  shards_.push_back({std::move(path), status});
  return shards_.size() - 1;
}

std::shared_ptr<const File> OpenShards::get(std::size_t shard) {
  const std::lock_guard lock(mutex_);
  const auto found =
      std::find_if(recent_.begin(), recent_.end(), [&](const auto& open) { return open.first == shard; });
  if (found != recent_.end()) {
    recent_.splice(recent_.begin(), recent_, found);
  } else {
    auto file = std::make_shared<const File>(File::open(shards_[shard].path));
    require_unchanged(shard, *file);
    recent_.emplace_front(shard, std::move(file));
    if (recent_.size() > kMostOpen) recent_.pop_back();
  }
  return recent_.front().second;
}

void OpenShards::require_unchanged(std::size_t shard, const File& file) const {
  const FileStatus now = file.status();
  const FileStatus& then = shards_[shard].status;
  if (now == then) return;
  if (now.bytes < then.bytes) {
    throw InputError("file became shorter: it has " + std::to_string(now.bytes) + " bytes, expected " +
                         std::to_string(then.bytes),
                     file.name());
  }
  throw InputError("file was changed or replaced since it was opened", file.name());
}

}  // namespace afp
