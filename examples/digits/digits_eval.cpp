// Evaluates a checkpoint of the digits network on the held-out images: how many it gets right, and
// how far its outputs are from those of a reference network.
#include <CLI/CLI.hpp>
#include <afp/error.hpp>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <exception>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "digits_files.hpp"
#include "digits_network.hpp"

namespace {

struct Options {
  std::string model;
  std::string reference;  // empty: none
  std::string data = DIGITS_DATA_FILE;
  std::string outputs;  // empty: not written
  bool json = false;
};

struct Evaluation {
  std::size_t images = 0;
  std::size_t correct = 0;
  std::optional<double> mean_kl;

  double accuracy() const { return static_cast<double>(correct) / static_cast<double>(images); }
};

std::vector<digits::Logits> run(const std::string& model, const digits::TestSet& test_set) {
  const digits::Network network = digits::load_network(model);
  std::vector<digits::Logits> logits;
  for (const digits::Image& image : test_set.images) logits.push_back(network.logits(image));
  return logits;
}

double mean_kl(const std::vector<digits::Logits>& reference, const std::vector<digits::Logits>& outputs) {
  double sum = 0;
  for (std::size_t i = 0; i < outputs.size(); ++i) sum += digits::kl_divergence(reference[i], outputs[i]);
  return sum / static_cast<double>(outputs.size());
}

// A line an image: the digit predicted and the ten logits, all digits that a double has.
void write_outputs(const std::string& path, const std::vector<digits::Logits>& outputs) {
  std::ofstream file(path);
  file << std::setprecision(std::numeric_limits<double>::max_digits10);
  for (const digits::Logits& logits : outputs) {
    file << digits::predicted_class(logits);
    for (const double logit : logits) file << ' ' << logit;
    file << '\n';
  }
  file.close();
  if (!file) throw afp::IoError(std::string("cannot be written: ") + std::strerror(errno), path);
}

Evaluation evaluate(const Options& options) {
  const digits::TestSet test_set = digits::load_test_set(options.data);
  const std::vector<digits::Logits> outputs = run(options.model, test_set);
  Evaluation evaluation;
  evaluation.images = outputs.size();
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    evaluation.correct += digits::predicted_class(outputs[i]) == test_set.labels[i];
  }
  if (!options.reference.empty()) evaluation.mean_kl = mean_kl(run(options.reference, test_set), outputs);
  if (!options.outputs.empty()) write_outputs(options.outputs, outputs);
  return evaluation;
}

void print(const Evaluation& evaluation, bool json) {
  if (json) {
    nlohmann::ordered_json object{{"accuracy", evaluation.accuracy()},
                                  {"correct", evaluation.correct},
                                  {"images", evaluation.images},
                                  {"mean_kl", nullptr}};
    if (evaluation.mean_kl) object["mean_kl"] = *evaluation.mean_kl;
    std::cout << object.dump() << '\n';
  } else {
    std::cout << std::fixed << std::setprecision(2) << "accuracy " << 100 * evaluation.accuracy() << " % ("
              << evaluation.correct << " of " << evaluation.images << " images)\n"
              << std::defaultfloat << std::setprecision(4);
    if (evaluation.mean_kl) std::cout << "mean KL to the reference " << *evaluation.mean_kl << " nats\n";
  }
  if (!std::cout.flush()) {
    throw afp::IoError(std::string("cannot be written: ") + std::strerror(errno), "standard output");
  }
}

int exit_status(afp::ErrorKind kind) {
  switch (kind) {
    case afp::ErrorKind::usage:
      return 2;
    case afp::ErrorKind::bad_input:
      return 3;
    case afp::ErrorKind::interrupted:
      return 75;
    case afp::ErrorKind::failure:
      break;
  }
  return 1;
}

int fail(const std::string& message, int status) {
  std::cerr << "digits_eval: " << message << '\n';
  return status;
}

}  // namespace

int main(int argc, char** argv) try {
  Options options;
  CLI::App app("Evaluate a checkpoint of the digits network on the held-out images.", "digits_eval");
  app.add_option("MODEL", options.model, "Folder or safetensors file, F32, F16 or BF16 weights")->required();
  app.add_option("REFERENCE", options.reference, "Network whose outputs MODEL's are compared with");
  app.add_option("--data", options.data, "Safetensors file with the images")->capture_default_str();
  app.add_option("--outputs", options.outputs, "Write a line an image here: digit predicted, ten logits");
  app.add_flag("--json", options.json, "Print JSON: accuracy, correct, images, mean_kl");
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help();
    return 0;
  } catch (const CLI::ParseError& error) {
    return fail(std::string(error.what()) + " (see --help)", exit_status(afp::ErrorKind::usage));
  }
  print(evaluate(options), options.json);
  return 0;
} catch (const afp::Error& error) {
  return fail(error.what(), exit_status(error.kind()));
} catch (const std::exception& error) {
  return fail(error.what(), exit_status(afp::ErrorKind::failure));
}
