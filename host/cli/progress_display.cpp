// Bodies of progress_display.hpp.
#include "host/cli/progress_display.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "host/cli/size_text.hpp"
#include "host/cli/terminal.hpp"
#include "host/cli/text.hpp"

namespace afp::cli {
namespace {

// Columns that stay free behind the bar: the last one, where some terminals wrap, and two for the ^C
// that a terminal shows.
constexpr std::size_t kBehindBar = 3;

void write_stderr(const std::string& text) {
  // A terminal that has gone away is no reason to stop: the work matters, not the picture of it.
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

double share_done(const Progress& progress) {
  if (progress.bytes_total == 0) return 1.0;
  return std::min(1.0, static_cast<double>(progress.bytes_done) / static_cast<double>(progress.bytes_total));
}

}  // namespace

std::string clock_text(double seconds) {
  const auto whole = static_cast<std::uint64_t>(seconds + 0.5);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string progress_line(const Progress& progress, double bytes_per_second, std::size_t width) {
  const double share = share_done(progress);
  // Fields have a fixed width each, so that nothing jumps while numbers grow.
  const std::string percent =
      fmt::format("{:3.0f}%", std::min(99.0, share * 100.0) + (share == 1.0 ? 1.0 : 0.0));
  std::string numbers =
      fmt::format("  {:>6} of {}", size_text(progress.bytes_done), size_text(progress.bytes_total));
  if (bytes_per_second > 0.0) {
    const double left = static_cast<double>(progress.bytes_total) * (1.0 - share) / bytes_per_second;
    const std::string rate = size_text(static_cast<std::uint64_t>(bytes_per_second));
    const std::string pace = fmt::format("  {:>6}/s  {:>5} left", rate, clock_text(left));
    if (percent.size() + numbers.size() + pace.size() <= width) numbers += pace;
  }
  if (percent.size() + numbers.size() > width) return percent.substr(0, width);

  constexpr std::size_t kNarrowestBar = 10, kWidestBar = 30, kBrackets = 3;
  std::string line = percent;
  const std::size_t fixed = percent.size() + numbers.size() + kBrackets;
  if (fixed + kNarrowestBar <= width) {
    const std::size_t bar = std::clamp((width - fixed) / 2, kNarrowestBar, kWidestBar);
    const auto full = static_cast<std::size_t>(share * static_cast<double>(bar));
    line += " [" + std::string(full, '#') + std::string(bar - full, '.') + "]";
  }
  line += numbers;
  constexpr std::size_t kNarrowestName = 12;
  if (!progress.tensor.empty() && line.size() + 2 + kNarrowestName <= width)
    line += "  " + shorten(printable(progress.tensor), width - line.size() - 2);
  return line;
}

ProgressDisplay::~ProgressDisplay() {
  if (drawn_width_ > 0) write_stderr("\r" + std::string(drawn_width_ + kBehindBar - 1, ' ') + "\r");
}

ProgressCallback ProgressDisplay::callback() {
  if (mode_ == ProgressMode::none) return {};
  return [this](const Progress& progress) { show(progress); };
}

double ProgressDisplay::bytes_per_second(std::uint64_t bytes_done, Clock::time_point now) {
  constexpr std::chrono::seconds kWindow{5};
  constexpr std::chrono::milliseconds kShortest{200};  // before that the rate says nothing
  samples_.push_back({now, bytes_done});
  while (now - samples_.front().time > kWindow && samples_.size() > 2) samples_.pop_front();
  const Sample& first = samples_.front();
  if (now - first.time < kShortest) return 0.0;
  return static_cast<double>(bytes_done - first.bytes_done) /
         std::chrono::duration<double>(now - first.time).count();
}

void ProgressDisplay::show(const Progress& progress) {
  const Clock::time_point now = Clock::now();
  const double rate = bytes_per_second(progress.bytes_done, now);
  if (mode_ == ProgressMode::bar) {
    constexpr std::size_t kUsual = 80;
    const std::size_t columns = std::max(terminal_width(stderr).value_or(kUsual), kBehindBar + 1);
    const std::string line = progress_line(progress, rate, columns - kBehindBar);
    const std::size_t width = display_width(line);
    const std::size_t leftover = drawn_width_ > width ? drawn_width_ - width : 0;
    write_stderr("\r" + line + std::string(leftover, ' '));
    drawn_width_ = width;
    return;
  }
  const bool finished = progress.bytes_done >= progress.bytes_total && progress.tensor.empty();
  if (now - last_json_ < std::chrono::seconds(1) && !finished) return;
  last_json_ = now;
  const nlohmann::ordered_json line = {{"bytes_done", progress.bytes_done},
                                       {"bytes_total", progress.bytes_total},
                                       {"bytes_per_second", rate},
                                       {"seconds", std::chrono::duration<double>(now - start_).count()},
                                       {"tensor", progress.tensor}};
  write_stderr(line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

}  // namespace afp::cli
