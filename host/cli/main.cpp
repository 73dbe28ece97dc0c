// afp: takes the verb, runs it, and is the one place where errors become exit codes and lines on stderr.
#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <span>
#include <string>
#include <vector>

#include "afp/backend.hpp"
#include "afp/error.hpp"
#include "afp_build.hpp"
#include "host/cli/command_line.hpp"
#include "host/cli/interrupt.hpp"
#include "host/cli/text.hpp"
#include "host/cli/verbs.hpp"

namespace afp::cli {
namespace {

constexpr const char* kHelp = R"(afp makes neural network checkpoints smaller: it packs their weights into
Adaptive Floating-Point codes of 2 to 8 bits, every block of weights with a
scale of its own.

Usage: afp VERB [options]

Verbs
  inspect PATH                 list the tensors of a checkpoint, plain or packed
  search INPUT -o PLAN.json    choose an Encoding for every tensor
  quantize INPUT -o OUTPUT     pack the weights into a few bits each
  dequantize PACKED -o OUTPUT  write a plain checkpoint with the packed values
  verify PACKED                check that a packed checkpoint is intact

Each has options of its own: afp VERB --help

Options
  --version                    version, commit, backends and their targets
  -h, --help                   this text

Examples
  afp quantize model -o model-4bit
  afp verify model-4bit --against model

INPUT is a .safetensors file or a folder in the Hugging Face layout.
Exit codes: 0 done, 1 failure, 2 wrong usage, 3 bad input file, 75 interrupted.
)";

struct Verb {
  const char* name;
  Outcome (*run)(const Arguments&, const std::atomic<bool>&);
};
constexpr std::array kVerbs = {Verb{"inspect", inspect}, Verb{"search", search}, Verb{"quantize", quantize},
                               Verb{"dequantize", dequantize}, Verb{"verify", verify}};

std::string version_text() {
  const std::unique_ptr<Backend> backend = make_cpu_backend(1);
  const std::string description = backend->description();  // ends with the SIMD target
  const std::string cuda = cuda_build();
  return fmt::format("afp {} (commit {}), backend{} cpu ({}){}\n", kVersion, kCommit, cuda.empty() ? "" : "s",
                     description.substr(description.rfind(' ') + 1),
                     cuda.empty() ? "" : " and cuda (" + cuda + ")");
}

Outcome run(const std::vector<std::string>& arguments, const std::atomic<bool>& stop) {
  if (arguments.empty()) throw usage_error("a verb is missing");
  const std::string& first = arguments.front();
  if (first == "--help" || first == "-h") return {.out = kHelp};
  if (first == "--version") return {.out = version_text()};

  std::vector<std::string> names;
  for (const Verb& verb : kVerbs) {
    if (first == verb.name) return verb.run(Arguments(arguments.begin() + 1, arguments.end()), stop);
    names.emplace_back(verb.name);
  }
  const std::string meant = nearest(first, names);
  throw usage_error(fmt::format("unknown {} '{}'{}", first.starts_with('-') ? "option" : "verb", first,
                                meant.empty() ? "" : " (did you mean " + meant + "?)"));
}

// The command that goes on where this one stopped. --force would begin by throwing away what is done.
std::string resuming_command(std::span<char*> argv) {
  std::vector<std::string> words;
  for (const std::string_view word : argv)
    if (word != "--force") words.emplace_back(word);
  return shell_command(words);
}

int exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::failure:
      return kExitFailure;
    case ErrorKind::usage:
      return kExitUsage;
    case ErrorKind::bad_input:
      return kExitBadInput;
    case ErrorKind::interrupted:
      return kExitInterrupted;
  }
  return kExitFailure;
}

int complain(const std::string& message, int code) {
  fmt::print(stderr, "afp: {}\n", printable(message));
  return code;
}

void write_stdout(const std::string& text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (!written || std::fflush(stdout) != 0)
    throw IoError(std::string("cannot write the result: ") + std::strerror(errno), "stdout");
}

int run_and_report(std::span<char*> argv) {
  try {
    const Outcome outcome = run({argv.begin() + 1, argv.end()}, stop_on_signals());
    write_stdout(outcome.out);
    return outcome.exit_code == kExitDone ? kExitDone : complain(outcome.complaint, outcome.exit_code);
  } catch (const HelpRequested& help) {
    write_stdout(help.text);
    return kExitDone;
  }
}

}  // namespace
}  // namespace afp::cli

int main(int argc, char** argv) {
  using namespace afp::cli;
  const std::span<char*> words(argv, static_cast<std::size_t>(argc));
  try {
    return run_and_report(words);
  } catch (const afp::Interrupted&) {
    const bool searched =
        words.size() > 1 && std::string_view(words[1]) == "search";  // it leaves nothing behind
    return complain(
        std::string("interrupted; to ") + (searched ? "start again: " : "go on: ") + resuming_command(words),
        kExitInterrupted);
  } catch (const afp::Error& error) {
    return complain(error.what(), exit_code(error.kind()));
  } catch (const std::bad_alloc&) {
    return complain("out of memory", kExitFailure);
  } catch (const std::exception& error) {
    return complain(std::string("internal error: ") + error.what(), kExitFailure);
  }
}
