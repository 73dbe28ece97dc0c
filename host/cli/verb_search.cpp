// afp search: which Encoding every tensor should get.
#include <cstdio>

#include "afp/checkpoint.hpp"
#include "afp/text_file.hpp"
#include "host/cli/options_search.hpp"
#include "host/cli/search_report.hpp"
#include "host/cli/search_run.hpp"
#include "host/cli/terminal.hpp"
#include "host/cli/text.hpp"
#include "host/cli/verbs.hpp"

namespace afp::cli {

Outcome search(const Arguments& arguments, const std::atomic<bool>& stop) {
  SearchCommand parsed = parse_search(arguments);
  const std::optional<std::size_t> width = terminal_width(stdout);
  check_backend(parsed.run.backend);
  const Checkpoint input = Checkpoint::open(parsed.input);
  check_search_files(input, parsed.request, parsed.output, parsed.force);

  parsed.run.stop = &stop;
  const SearchRun run = run_search(input, parsed.request, parsed.run, parsed.progress);
  if (!parsed.output.empty()) write_text(parsed.output, to_json(run.result.plan));
  std::vector<std::string> words = {"afp", "search"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  write_report(input, parsed.request, run, parsed.run, shell_command(words));

  if (parsed.json) return {.out = search_json(parsed.request, run)};
  if (parsed.quiet) return {};
  std::string out = search_text(input, parsed.request, run, parsed.verbose, width);
  if (!parsed.output.empty()) {
    const std::vector<std::string> next = {"afp",    "quantize", parsed.input, "-o",
                                           "OUTPUT", "--plan",   parsed.output};
    out += "\nTo carry it out: " + shell_command(next) + "\n";
  }
  return {.out = out};
}

}  // namespace afp::cli
