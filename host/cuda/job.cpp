// Bodies of job.hpp.
#include "host/cuda/job.hpp"

namespace afp::cuda {

Job::~Job() {
  if (!started_) return;
  // An error left work under way: the next job must not find it there, nor the caller's memory still read.
  (void)cudaStreamSynchronize(lane().device().upload().get());
  (void)cudaStreamSynchronize(lane().stream().get());
  (void)cudaStreamSynchronize(lane().device().download().get());
}

void Job::start() {
  CurrentDevice::become(lane().device().index());
  std::vector<bool> staged;
  std::size_t staging_bytes = 0;
  for (const Source& source : sources_) {
    staged.push_back(source.fill || !is_pinned(source.bytes));
    if (staged.back()) staging_bytes += aligned(source.bytes.size());
  }
  memory_ = lane().device_memory(size_of(Region::input) + size_of(Region::output) + size_of(Region::scratch));
  std::byte* staging = lane().staging(staging_bytes + size_of(Region::output));
  outputs_staging_ = staging + staging_bytes;

  started_ = true;
  const Stream& upload = lane().device().upload();
  lane().stream().record(lane().allocated);
  upload.wait(lane().allocated);
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    const Source& source = sources_[i];
    const std::byte* from = source.bytes.data();
    if (staged[i]) {
      if (source.fill)
        source.fill(staging);
      else
        std::memcpy(staging, from, source.bytes.size());
      from = staging;
      staging += aligned(source.bytes.size());
    }
    std::byte* const to = begin_of(source.region) + source.offset;
    check(cudaMemcpyAsync(to, from, source.bytes.size(), cudaMemcpyHostToDevice, upload.get()),
          "copying to the device");
  }
  upload.record(lane().uploaded);
  lane().stream().wait(lane().uploaded);
}

void Job::download() {
  if (downloading_) return;
  downloading_ = true;
  const Stream& download = lane().device().download();
  lane().stream().record(lane().computed);
  download.wait(lane().computed);
  for (Result& result : results_) {
    const std::size_t bytes = result.destination.size();
    if (bytes == 0) continue;
    result.is_direct = !result.take && is_pinned(result.destination);
    std::byte* const to = result.is_direct ? result.destination.data() : outputs_staging_ + result.offset;
    check(cudaMemcpyAsync(to, begin_of(Region::output) + result.offset, bytes, cudaMemcpyDeviceToHost,
                          download.get()),
          "copying from the device");
  }
  download.record(lane().downloaded);
}

void Job::finish() {
  download();
  lane().downloaded.synchronize();
  started_ = false;  // nothing is under way any more
  for (const Result& result : results_) {
    const std::byte* const from = outputs_staging_ + result.offset;
    if (result.take)
      result.take(from);
    else if (!result.is_direct && !result.destination.empty())
      std::memcpy(result.destination.data(), from, result.destination.size());
  }
}

}  // namespace afp::cuda
