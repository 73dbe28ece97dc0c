// Bodies of search_arguments.hpp.
#include "host/cli/search_arguments.hpp"

#include <fmt/format.h>

#include "afp/seed_search.hpp"
#include "host/cli/size_text.hpp"

namespace afp::cli {
namespace {

constexpr std::uint64_t kMostSamples = 1'000'000;
constexpr std::uint64_t kMostChains = 65'536;

// "1/16" or "16".
std::uint32_t parse_sample(const CommandLine& command, const std::string& text) {
  const std::string number = text.starts_with("1/") ? text.substr(2) : text;
  return static_cast<std::uint32_t>(parse_number(command, "--sample", number, 1, kMostSamples));
}

}  // namespace

void SearchArguments::declare_budget(CommandLine& command, Explained explained) {
  const auto help = [&](const char* text) { return explained == Explained::yes ? text : ""; };
  command.value("--target-bpw", "X", target_bpw, help("budget: bits a quantized weight, scales included"));
  command.value("--target-size", "SIZE", target_size, help("budget: size of the weight files, as 3.5GB"));
  command.value("--target-sqnr", "DB", target_sqnr, help("smallest size that reaches this SQNR, as 25dB"));
}

void SearchArguments::declare_search(CommandLine& command, Explained explained) {
  const auto help = [&](const char* text) { return explained == Explained::yes ? text : ""; };
  command.value("--candidates", "SPACE", candidates,
                help("Encodings to mix, as 'N=3..6,E=1|2,block=16|32,keep'"));
  command.value("--objective", "NAME", objective, help("mse (default), or of tensor blocks kl, kl-seed"));
  command.value("--importance", "FILE", importance, help("safetensors: weights of the error by column"));
  command.value("--sample", "1/K", sample, help("measure one block in K (row and small blocks)"));
  command.value("--method", "M", method, help("exact (default), anneal, genetic or bayes"));
  if (explained == Explained::yes)
    command.describe("--seed S, --chains C", "of random methods; walks of anneal, from 256 on a GPU");
  command.value("--seed", "S", seed, "");
  command.value("--chains", "C", chains, "");
  command.repeated(
      "--tie", "REGEX", [this](const std::string& text) { ties.push_back(text); },
      help("what matches with equal (groups) gets one Encoding"));
  command.flag("--uniform", uniform, help("one Encoding for the whole model"));
  command.value("--penalty-exponent", "L", penalty_exponent,
                help("of --uniform: costs times hardware penalty^L"));
  command.value("--preset", "NAME", preset, help("iccv2021: the original's search for one (N, E)"));
}

void SearchArguments::declare_files(CommandLine& command, Explained explained) {
  const auto help = [&](const char* text) { return explained == Explained::yes ? text : ""; };
  if (explained == Explained::yes)
    command.describe("--save-costs, --costs", "FILE to write measured costs to, or to take them from");
  command.value("--save-costs", "FILE", save_costs, "");
  command.value("--costs", "FILE", costs, "");
  command.value("--report", "FILE", report, help("a page of HTML: size against error, every tensor"));
}

void SearchArguments::declare_briefly(CommandLine& command) {
  declare_budget(command, Explained::no);
  declare_search(command, Explained::no);
  declare_files(command, Explained::no);
  const std::string none;
  command.describe("--target-bpw X, --target-size SIZE, --target-sqnr DB, --candidates SPACE,", none);
  command.describe("--objective, --importance, --sample, --method, --seed, --chains, --tie,", none);
  command.describe("--uniform, --penalty-exponent, --preset, --save-costs, --costs, --report", none);
}

bool SearchArguments::any() const {
  for (const auto* text :
       {&target_bpw, &target_size, &target_sqnr, &candidates, &objective, &method, &seed, &chains,
        &importance, &sample, &penalty_exponent, &preset, &costs, &save_costs, &report})
    if (*text) return true;
  return uniform || !ties.empty();
}

SearchRequest SearchArguments::check(const CommandLine& command, const EncodingArguments& encoding) const {
  SearchRequest request;
  const EncodingRequest own = encoding.request(command);
  if (own.encoding)
    throw command.error(
        "--format gives the Encoding whole, so that nothing is left to search; give --candidates, or "
        "--set REGEX=ENCODING for some tensors");

  CostRequest& measured = request.costs;
  ModelSearchOptions& model = request.model;
  model.rules = measured.rules = encoding.rules;
  model.ties = ties;
  model.uniform = uniform;
  if (target_bpw) {
    model.target_bpw = parse_positive(command, "--target-bpw", *target_bpw);
    request.budget_text = fmt::format("{} bits per weight", *model.target_bpw);
  }
  if (target_size) {
    model.target_size = parse_size(*target_size);
    if (!model.target_size)
      throw command.error("--target-size: expected a size as 3.5GB or 512MiB, found '" + *target_size + "'");
    request.budget_text = *target_size;
  }
  if (target_sqnr) {
    model.target_sqnr = parse_positive(command, "--target-sqnr", *target_sqnr, "dB");
    request.budget_text = fmt::format("the smallest of {} dB", *model.target_sqnr);
  }
  if (target_bpw.has_value() + target_size.has_value() + target_sqnr.has_value() > 1)
    throw command.error("--target-bpw, --target-size and --target-sqnr exclude each other");

  // With a budget the bits are what is searched. A table may hold any block and scale.
  CandidateSpace space;
  const bool has_budget = target_bpw || target_size || target_sqnr;
  if (costs) {
    space.blocks = {{BlockKind::tensor, 0}, {BlockKind::row, 0}};
    for (const int size : {16, 32, 64, 128}) space.blocks.push_back({BlockKind::small, size});
  }
  if (encoding.bits || !has_budget) space.bits = {own.bits};
  if (encoding.block || !costs) space.blocks = {own.block};
  if (encoding.scale) space.scales = {own.scale};
  if (candidates) {
    if (encoding.bits && candidates->find("N=") != std::string::npos)
      throw command.error("--bits contradicts the N of --candidates");
    if (!encoding.bits) space.bits = CandidateSpace{}.bits;
    space = parse_option(command, "--candidates", *candidates,
                         [&](const std::string& text) { return parse_candidates(text, space); });
  }
  measured.space = space;
  model.keep = space.keep;
  request.candidates_text = to_string(space);
  // A cost table and a report are of every N, so that they answer more than was asked; the choice is among
  // what was asked for.
  if ((save_costs || report) && !candidates && !preset) measured.space.bits = CandidateSpace{}.bits;
  if (costs || to_string(measured.space) != to_string(space)) model.space = space;

  if (objective) measured.objective = parse_option(command, "--objective", *objective, parse_objective);
  if (method) model.solver.method = parse_option(command, "--method", *method, parse_method);
  if (seed) model.solver.seed = parse_number(command, "--seed", *seed, 0, ~std::uint64_t{0});
  if (chains) {
    if (model.solver.method != Method::anneal) throw command.error("--chains goes with --method anneal");
    model.solver.chains =
        static_cast<std::uint32_t>(parse_number(command, "--chains", *chains, 1, kMostChains));
  }
  if (sample) measured.sample = parse_sample(command, *sample);
  measured.effort = encoding.parsed_effort(command);
  if (penalty_exponent) {
    if (!uniform && !preset)
      throw command.error("--penalty-exponent goes with --uniform or --preset iccv2021");
    model.penalty_exponent =
        *penalty_exponent == "0" ? 0.0 : parse_positive(command, "--penalty-exponent", *penalty_exponent);
    if (model.penalty_exponent > kMostPenaltyExponent)
      throw command.error("--penalty-exponent: expected at most " +
                          std::to_string(static_cast<int>(kMostPenaltyExponent)) + ", found '" +
                          *penalty_exponent + "'");
  }
  if (uniform && !ties.empty())
    throw command.error("--uniform ties all tensors already; --tie contradicts it");
  if (preset) {
    if (*preset != "iccv2021") throw command.error("--preset: expected iccv2021, found '" + *preset + "'");
    if (has_budget || candidates || objective || importance || sample || costs || save_costs || uniform ||
        !ties.empty() || encoding.bits || encoding.block || encoding.scale)
      throw command.error(
          "--preset iccv2021 says itself what is searched; with it go --method, --seed, "
          "--penalty-exponent and the choice of tensors");
    request.original = true;
    request.candidates_text = "N=3..8,E=0..N-1,block=tensor";
    measured.objective = Objective::kl_seed;
    if (!penalty_exponent) model.penalty_exponent = 1.0;
  }
  if (costs) {
    for (const auto& [name, text] :
         {std::pair("--objective", &objective), std::pair("--importance", &importance),
          std::pair("--sample", &sample), std::pair("--save-costs", &save_costs),
          std::pair("--effort", &encoding.effort)})
      if (*text)
        throw command.error(std::string(name) +
                            " was decided when the costs were measured; --costs contradicts it");
  }
  if (importance) measured.importance = Importance::read(*importance);
  request.costs_file = costs;
  request.importance_file = importance;
  request.save_costs_file = save_costs;
  request.report_file = report;
  return request;
}

}  // namespace afp::cli
