// Data of reports to test with: plain ones, and those at the edges of what a report can be asked to show.
#pragma once

#include <cmath>
#include <cstdint>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "host/cli/report/report.hpp"

namespace afp::cli {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();

// A front of every quarter of a bit from 3 to 6, 6 dB a bit, and of single Encodings that are 1 dB worse.
inline ReportData sample_data(std::size_t tensors = 12) {
  ReportData data;
  data.model = "model";
  data.command = "afp search model -o plan.json --target-bpw 4.25 --report report.html";
  data.program = "afp 1.0";
  data.method = "exact";
  data.budget = "4.25 bits per weight";
  data.candidates = "N=3..6,block=32";
  data.weights = 8000 * tensors;
  data.signal = 100.0;
  const auto error_at = [&](double bpw, double loss) {
    return data.signal * std::pow(10.0, -(6.0 * bpw - loss) / 10.0);
  };
  const auto bytes_at = [&](double bpw) {
    return static_cast<std::uint64_t>(std::llround(bpw * static_cast<double>(data.weights) / 8.0));
  };
  for (double bpw = 3.25; bpw <= 6.25; bpw += 0.25)
    data.front.mixed.push_back({bytes_at(bpw), bpw, error_at(bpw, 4.0), error_at(bpw, 4.0)});
  for (const char* text : {"E1M1/32/e8m0", "E2M1/32/e8m0", "E1M2/32/e8m0", "E2M2/32/e8m0", "E2M3/32/e8m0"}) {
    const Encoding encoding = parse_encoding(text);
    const double bpw = encoding.bits() + 0.25, loss = encoding == parse_encoding("E1M2/32/e8m0") ? 6.5 : 5.0;
    data.front.uniform.push_back({encoding, bytes_at(bpw), bpw, error_at(bpw, loss), error_at(bpw, loss)});
  }
  data.selected_bytes = bytes_at(4.25);
  data.cost = data.squared_error = error_at(4.25, 4.0);
  data.bound = 0.999 * data.cost;
  data.gap = 0.001;
  data.file_bytes = data.selected_bytes + 5000;
  data.source_bytes = 2 * data.weights + 5000;
  data.evaluations = 1234;
  const char* encodings[] = {"E1M1/32/e8m0", "E2M1/32/e8m0", "E2M2/32/e8m0"};
  for (std::size_t i = 0; i < tensors; ++i) {
    ReportTensor tensor;
    tensor.name = "layers." + std::to_string(i) + ".weight";
    tensor.shape = {100, 80};
    tensor.signal = 10.0;
    if (i % 4 == 3) {
      tensor.kept = "rule";
      tensor.bytes = 16000;
    } else {
      tensor.encoding = parse_encoding(encodings[i % 4]);
      tensor.bytes = 1000 * static_cast<std::uint64_t>(tensor.encoding->bits()) + 250;
      tensor.squared_error = 10.0 * std::pow(10.0, -(1.0 + 0.05 * static_cast<double>(i % 20)));
    }
    data.tensors.push_back(tensor);
  }
  return data;
}

inline ReportHistogram sample_histogram() {
  ReportHistogram histogram;
  histogram.tensor = "layers.0.weight";
  histogram.encoding = parse_encoding("E1M2+E2M1/16/ue4m3");
  for (int i = -8; i <= 8; ++i) histogram.edges.push_back(i);
  for (int i = 0; i < 16; ++i)
    histogram.counts.push_back(i == 3 ? 0 : static_cast<std::uint64_t>(10 * (i + 1)));
  for (const char* text : {"E1M2", "E2M1"}) {
    ReportHistogram::Codes codes{parse_format(text), {}};
    for (int value = -7; value <= 7; ++value)
      codes.points.push_back({static_cast<double>(value), static_cast<std::uint64_t>(3 * (value + 7))});
    histogram.codes.push_back(codes);
  }
  return histogram;
}

// Everything that a page can hold at once.
inline ReportData full_data(std::size_t tensors = 12) {
  ReportData data = sample_data(tensors);
  data.weighted = true;
  data.sample = 16;
  data.histogram = sample_histogram();
  data.seconds = 1.5;
  double cost = 40.0 * data.cost;
  for (std::uint64_t evaluations = 1; evaluations < 100000;
       evaluations *= 3, cost = data.cost + 0.5 * (cost - data.cost))
    data.trace.push_back({evaluations, 0.001 * static_cast<double>(evaluations), cost});
  for (int bits = 3; bits <= 8; ++bits)
    for (int exponent = 0; exponent < bits; ++exponent)
      data.uniform.push_back(
          {bits, exponent, 1e-3 * (bits + exponent), 10.0 + bits, 1e-3 * (bits + exponent) * (10.0 + bits)});
  data.uniform_chosen = 4;
  data.penalty_exponent = 1.0;
  return data;
}

inline ReportData divergence_data() {
  ReportData data = sample_data();
  data.objective = Objective::kl;
  return data;
}

// A name in a list of bytes that HTML, XML, terminals and readers take for something else.
inline const char* const kHardNames[] = {"</script><script>alert(1)</script>",
                                         "a<b>&\"c'd",
                                         "nul\x01\x1b[2J\n\t\x7f",
                                         "\xff\xfe broken \xc3( \xed\xa0\x80 \xf5\x80\x80\x80 \xc0\x80",
                                         "turned \xe2\x80\xae round",
                                         "]]>--><!--",
                                         "&amp;lt;",
                                         "größe.重み.вес",
                                         ""};

inline std::vector<ReportData> extremes() {
  std::vector<ReportData> all = {ReportData{},   sample_data(),  full_data(),   divergence_data(),
                                 sample_data(1), full_data(400), sample_data(0)};
  ReportData named = full_data(std::size(kHardNames));
  for (std::size_t i = 0; i < named.tensors.size(); ++i)
    named.tensors[i].name = named.tensors[i].kept = kHardNames[i];
  named.model = named.command = named.program = named.budget = named.candidates = named.method =
      kHardNames[1];
  named.histogram->tensor = kHardNames[0];
  all.push_back(named);

  ReportData exact = full_data();  // nothing is lost anywhere
  exact.squared_error = exact.cost = exact.bound = 0.0;
  exact.gap = 0.0;
  for (ModelFrontPoint& point : exact.front.mixed) point.cost = point.squared_error = 0.0;
  for (UniformPoint& point : exact.front.uniform) point.cost = point.squared_error = 0.0;
  for (ReportTensor& tensor : exact.tensors)
    if (tensor.encoding) tensor.squared_error = 0.0;
  all.push_back(exact);
  exact.objective = Objective::kl_seed;
  all.push_back(exact);

  ReportData partly = sample_data();  // only the largest
  partly.front.mixed.back().cost = partly.front.mixed.back().squared_error = 0.0;
  all.push_back(partly);
  partly.objective = Objective::kl;
  all.push_back(partly);

  ReportData worse = sample_data();  // than nothing: more error than signal, a single point, no gap
  worse.front.mixed = {{worse.selected_bytes, 4.25, 1000.0, 1000.0}};
  worse.front.uniform.clear();
  worse.squared_error = worse.cost = 1000.0;
  worse.gap = kInfinity;
  worse.bound = 0.0;
  for (ReportTensor& tensor : worse.tensors) tensor.squared_error.reset();
  all.push_back(worse);

  ReportData kept = sample_data();  // all of it
  for (ReportTensor& tensor : kept.tensors) tensor.encoding.reset();
  kept.weights = kept.selected_bytes = 0;
  kept.signal = kept.squared_error = kept.cost = kept.bound = 0.0;
  kept.front = {};
  all.push_back(kept);
  return all;
}

}  // namespace afp::cli
