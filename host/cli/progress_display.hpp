// What a person or a program sees on stderr while a long operation runs.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>

#include "afp/progress.hpp"

namespace afp::cli {

enum class ProgressMode {
  bar,   // one line, redrawn in place
  json,  // one JSON object a second, and one at the end
  none,
};

class ProgressDisplay {
 public:
  explicit ProgressDisplay(ProgressMode mode) : mode_(mode) {}
  ~ProgressDisplay();  // removes the bar, so that what is printed next begins on an empty line
  ProgressDisplay(const ProgressDisplay&) = delete;
  ProgressDisplay& operator=(const ProgressDisplay&) = delete;

  // To be called no longer than this object lives; empty where nothing is to be shown.
  ProgressCallback callback();

 private:
  using Clock = std::chrono::steady_clock;

  void show(const Progress& progress);
  double bytes_per_second(std::uint64_t bytes_done, Clock::time_point now);

  ProgressMode mode_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_json_ = start_;
  std::size_t drawn_width_ = 0;  // of the bar on the screen

  struct Sample {
    Clock::time_point time;
    std::uint64_t bytes_done;
  };
  std::deque<Sample> samples_;  // of the last seconds: the rate that counts is the present one
};

// The bar: at most `width` columns. The rate is 0 as long as it is not known.
std::string progress_line(const Progress& progress, double bytes_per_second, std::size_t width);

// "0:07", "12:34", "3:00:00".
std::string clock_text(double seconds);

}  // namespace afp::cli
