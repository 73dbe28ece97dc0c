// The program `afp` from outside: exit codes, the one line on stderr, JSON keys, help screens.
#include "cli.hpp"

#include <gtest/gtest.h>
#include <signal.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace afp {
namespace {

const std::vector<std::string> kVerbs = {"inspect", "search", "quantize", "dequantize", "verify"};

// --- Help ------------------------------------------------------------------------------------------

TEST_F(Cli, HelpFitsAScreen) {
  std::vector<Words> screens = {{"--help"}, {"-h"}};
  for (const std::string& verb : kVerbs) screens.insert(screens.end(), {{verb, "--help"}, {verb, "-h"}});
  for (const Words& screen : screens) {
    const Finished finished = afp(screen);
    EXPECT_EQ(finished.exit_code, 0);
    EXPECT_EQ(finished.err, "");
    const std::vector<std::string> lines = lines_of(finished.out);
    EXPECT_LE(lines.size(), 50u) << finished.out;
    EXPECT_GE(lines.size(), 10u) << finished.out;
    for (const std::string& line : lines) EXPECT_LE(line.size(), 80u) << line;
  }
}

TEST_F(Cli, HelpWinsOverOtherArguments) {
  EXPECT_EQ(afp({"quantize", "x", "--bits", "99", "--help"}).exit_code, 0);
}

// The commands under "Examples".
std::vector<Words> examples_in(const std::string& help) {
  std::vector<Words> examples;
  const std::size_t begin = help.find("\nExamples\n");
  for (const std::string& line : lines_of(help.substr(begin + 1))) {
    if (!line.starts_with("  afp ")) continue;
    Words words;
    std::istringstream stream(line.substr(6));
    for (std::string word; stream >> word;) {
      if (word.starts_with('\'')) word = word.substr(1, word.size() - 2);
      words.push_back(word);
    }
    examples.push_back(words);
  }
  return examples;
}

TEST_F(Cli, ExamplesOfEveryVerbWorkAsPrinted) {
  for (const std::string verb : {"search", "quantize", "inspect", "verify", "dequantize"}) {
    const std::vector<Words> examples = examples_in(afp({verb, "--help"}).out);
    EXPECT_EQ(examples.size(), 2u);
    for (const Words& example : examples) {
      const Finished finished = afp(example);
      EXPECT_EQ(finished.exit_code, 0) << verb << ": " << finished.err;
      EXPECT_NE(finished.out, "");
    }
  }
  EXPECT_EQ(examples_in(afp({"--help"}).out).size(), 2u);
}

TEST_F(Cli, HelpNamesOnlyOptionsThatExist) {
  for (const std::string& verb : kVerbs) {
    const std::string help = afp({verb, "--help"}).out;
    const std::regex option("--[a-z][a-z-]*");
    for (std::sregex_iterator match(help.begin(), help.end(), option), end; match != end; ++match) {
      const Finished finished = afp({verb, match->str(), "--no-such-option"});
      EXPECT_EQ(finished.err.find("unknown option " + match->str() + ";"), std::string::npos) << finished.err;
      EXPECT_EQ(finished.err.find("unknown option " + match->str() + " "), std::string::npos) << finished.err;
    }
  }
}

TEST_F(Cli, VersionNamesCommitBackendsAndTheirTargets) {
  const Finished finished = afp({"--version"});
  EXPECT_EQ(finished.exit_code, 0);
  EXPECT_TRUE(std::regex_match(
      finished.out,
      std::regex(R"(afp \d+\.\d+\.\d+ \(commit (unknown|[0-9a-f]{7,})\), )"
                 R"((backend cpu \([A-Z0-9_]+\)|backends cpu \([A-Z0-9_]+\) and cuda \([^()]+\))\n)")))
      << finished.out;
}

// --- Search ------------------------------------------------------------------------------------------

const Words kSearchKeys = {"objective", "method", "seed",        "budget", "cost",
                           "bound",     "gap",    "evaluations", "seconds"};

TEST_F(Cli, SearchPrintsItsChoiceAsJson) {
  const Json json = afp_json({"search", "model", "--target-bpw", "4.6", "--candidates", "N=3..6"});
  Words keys = kSearchKeys;
  keys.insert(keys.end(), {"tensors", "total", "minimizes", "sample", "measure_seconds", "backend", "device",
                           "peak_device_memory"});
  EXPECT_EQ(keys_of(json), keys);
  EXPECT_EQ(json["objective"], "mse");
  EXPECT_EQ(json["method"], "exact");
  EXPECT_EQ(json["budget"], 1766);  // 3072 weights
  EXPECT_EQ(json["gap"], 0.0);
  ASSERT_EQ(json["tensors"].size(), 4u);
  EXPECT_EQ(keys_of(json["tensors"][0]), (Words{"name", "encoding", "cost", "bpw"}));
  EXPECT_EQ(keys_of(json["total"]),
            (Words{"weights", "bytes", "packed_bytes", "file_bytes", "bpw", "sqnr_db"}));
  EXPECT_LE(json["total"]["bpw"], 4.6);
  EXPECT_EQ(json["minimizes"], "cost");
}

TEST_F(Cli, AnnealsWithSoManyChains) {
  const auto anneal = [&](const char* chains) {
    return afp_json({"search", "model", "--target-bpw", "4.6", "--method", "anneal", "--chains", chains});
  };
  const Json few = anneal("16"), many = anneal("48");
  EXPECT_EQ(many["evaluations"], 3 * few["evaluations"].get<std::uint64_t>());
  EXPECT_LE(many["cost"].get<double>(), few["cost"].get<double>());
}

TEST_F(Cli, ASearchedPlanIsCarriedOutAsPredicted) {
  const Json predicted =
      afp_json({"search", "model", "-o", "plan.json", "--target-bpw", "4.2", "--block", "32"});
  const Json written = afp_json({"quantize", "model", "-o", "packed", "--plan", "plan.json"});
  EXPECT_EQ(written["total"]["packed_bytes"], predicted["total"]["packed_bytes"]);
  EXPECT_EQ(std::filesystem::file_size(folder_ / "packed/model.safetensors"),
            predicted["total"]["file_bytes"]);
  EXPECT_EQ(written["total"]["sqnr_db"], predicted["total"]["sqnr_db"]);
  const Json verified = afp_json({"verify", "packed", "--against", "model"});
  EXPECT_NEAR(verified["sqnr_db"], predicted["total"]["sqnr_db"], 1e-5);
  // In one step.
  const Json together =
      afp_json({"quantize", "model", "-o", "again", "--target-bpw", "4.2", "--block", "32"});
  EXPECT_EQ(together["tensors"], written["tensors"]);
  EXPECT_EQ(read_bytes(folder_ / "again/model.safetensors"),
            read_bytes(folder_ / "packed/model.safetensors"));
}

TEST_F(Cli, APlanBringsItsEffort) {
  const Json predicted = afp_json({"search", "model", "-o", "plan.json", "--bits", "3", "--effort", "fast"});
  const Json written = afp_json({"quantize", "model", "-o", "packed", "--plan", "plan.json"});
  EXPECT_EQ(written["total"]["sqnr_db"], predicted["total"]["sqnr_db"]);
  EXPECT_NE(read_bytes(folder_ / "packed/afp_manifest.json").find("\"effort\": \"fast\""), std::string::npos);
  afp_json({"quantize", "model", "-o", "exact", "--plan", "plan.json", "--effort", "exact"});
  EXPECT_NE(read_bytes(folder_ / "exact/afp_manifest.json").find("\"effort\": \"exact\""), std::string::npos);
}

TEST_F(Cli, CostsMeasuredOnceAnswerOtherBudgets) {
  afp_json({"search", "model", "--candidates", "N=3..6", "--save-costs", "costs.json"});
  Json measured = afp_json({"search", "model", "--candidates", "N=3..6", "--target-bpw", "5"});
  Json read = afp_json({"search", "model", "--costs", "costs.json", "--target-bpw", "5"});
  EXPECT_TRUE(read["measure_seconds"].is_null());
  EXPECT_TRUE(read["backend"].is_null());
  for (Json* json : {&measured, &read}) {
    for (const char* key : {"seconds", "measure_seconds", "backend", "device", "peak_device_memory"})
      json->erase(key);
  }
  EXPECT_EQ(measured, read);
  expect_failure({"search", "model", "--costs", "model/config.json"}, 3,
                 "model/config.json: is no cost table: key 'afp_costs' is missing");
  std::string text = read_bytes(folder_ / "costs.json");
  write_bytes(folder_ / "short.json", text.substr(0, text.size() / 2));
  expect_failure(
      {"search", "model", "--costs", "short.json"}, 3,
      "short.json: the cost table was changed after it was written: it does not end with its digest");
  expect_failure(
      {"search", "model", "--costs", "costs.json", "--objective", "kl"}, 2,
      "--objective was decided when the costs were measured; --costs contradicts it; see afp search --help");
  expect_failure({"search", "model", "--costs", "costs.json", "--candidates", "N=7"}, 2,
                 "the cost table has no candidate of 'N=7,block=tensor|row|16|32|64|128'");
}

TEST_F(Cli, SearchDoesNotReplaceFilesUnasked) {
  write_bytes(folder_ / "plan.json", "mine");
  expect_failure({"search", "model", "-o", "plan.json"}, 2,
                 "plan.json exists already; give another name, or --force to replace it");
  expect_failure({"search", "model", "--save-costs", "plan.json"}, 2,
                 "plan.json exists already; give another name, or --force to replace it");
  EXPECT_EQ(read_bytes(folder_ / "plan.json"), "mine");
  expect_failure({"search", "model", "-o", "nowhere/plan.json"}, 2,
                 "nowhere/plan.json cannot be written: there is no folder nowhere");
  expect_failure({"search", "model", "--report", "model"}, 2,
                 "model is a folder; expected the name of a file to write");
  EXPECT_EQ(afp({"search", "model", "-o", "plan.json", "--force", "--quiet"}).exit_code, 0);
  EXPECT_TRUE(read_bytes(folder_ / "plan.json").starts_with("{\"afp_plan\": 1"));
}

TEST_F(Cli, SearchDoesNotWriteWhereItReads) {
  const std::string weights = read_bytes(folder_ / "model/model.safetensors");
  const std::string read = " is a file that is read, or written to already; give another name";
  expect_failure({"search", "model", "--report", "model/model.safetensors", "--force"}, 2,
                 "model/model.safetensors" + read);
  expect_failure({"search", "model", "-o", "model/config.json", "--force"}, 2, "model/config.json" + read);
  expect_failure({"search", "model", "-o", "x.json", "--save-costs", "x.json"}, 2, "x.json" + read);
  expect_failure({"search", "model", "-o", "x.html", "--report", "./x.html"}, 2, "./x.html" + read);
  afp_json({"search", "model", "--save-costs", "c.json"});
  expect_failure({"search", "model", "--costs", "c.json", "-o", "c.json", "--force"}, 2, "c.json" + read);
  afp_json({"search", "model", "--save-costs", "c.json"});  // one cost table takes the place of another
  EXPECT_EQ(read_bytes(folder_ / "model/model.safetensors"), weights);
  EXPECT_FALSE(exists("x.json"));

  std::filesystem::create_directory(folder_ / "full");
  write_bytes(folder_ / "full/notes", "mine");
  expect_failure({"quantize", "model", "-o", "full", "--target-bpw", "5", "--save-costs", "late.json"}, 2,
                 "full: is not empty (holds 'notes'); use --force to remove what it holds");
  EXPECT_FALSE(exists("late.json"));
  expect_failure({"quantize", "model", "--dry-run", "--target-bpw", "5", "--report", "r.html"}, 2,
                 "--dry-run writes nothing; --report contradicts it; see afp quantize --help");
}

TEST_F(Cli, BadPlansAndBudgetsAreOneLine) {
  expect_failure(
      {"search", "model", "--progress", "none", "--target-bpw", "2"}, 2,
      "a target of 2.0000 bpw is below what the candidates allow; the least possible is 2.5209 bpw");
  afp_json({"search", "model", "-o", "plan.json"});
  std::string text = read_bytes(folder_ / "plan.json");
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string edited = text;
    edited.replace(edited.find(from), from.size(), to);
    write_bytes(folder_ / "edited.json", edited);
    return Words{"quantize", "model", "-o", "packed", "--plan", "edited.json", "--progress", "none"};
  };
  expect_failure(with("layers.0.weight", "layers.7.weight"), 3,
                 "edited.json: tensor 'layers.7.weight': is in the plan, but not in the model; the nearest "
                 "name there is "
                 "'layers.0.weight'");
  expect_failure(with("E1M2+E2M1/16/ue4m3", "E9M2/16"), 3,
                 "edited.json: tensor 'layers.0.weight': Format E9M2 has 12 bits with its sign; expected 2 "
                 "to 8, at least one of them "
                 "exponent");
  expect_failure(with("[32,64]", "[64,32]"), 3,
                 "edited.json: tensor 'layers.0.weight': is F32 [32, 64] in the model; the plan was made for "
                 "F32 [64, 32]");
  EXPECT_FALSE(exists("packed"));
  EXPECT_EQ(afp(with("E1M2+E2M1/16/ue4m3", "E3M2/row")).exit_code, 0);  // a person may change an Encoding
}

TEST_F(Cli, ReportIsAPage) {
  EXPECT_EQ(afp({"search", "model", "--target-bpw", "5", "--report", "r.html", "--quiet"}).exit_code, 0);
  const std::string page = read_bytes(folder_ / "r.html");
  EXPECT_TRUE(page.starts_with("<!DOCTYPE html>"));
  for (const char* part : {"layers.1.weight", "N=2..8,block=16", "5 bits per weight"})
    EXPECT_NE(page.find(part), std::string::npos) << part;
}

TEST_F(Cli, ReportsOfWhatLosesNothing) {
  // Without an error, without a signal, and with far more padding than weights.
  std::vector<float> ones(64), zeros(64, 0.0f);
  for (std::size_t i = 0; i < ones.size(); ++i) ones[i] = i % 3 == 0 ? -1.0f : 1.0f;
  const std::pair<const char*, F32Tensor> cases[] = {
      {"exact", {"w", {4, 16}, ones}}, {"zero", {"w", {4, 16}, zeros}}, {"thin", {"w", {64, 1}}}};
  for (const auto& [name, tensor] : cases) {
    const std::string file = std::string(name) + ".safetensors", page = std::string(name) + ".html";
    write_bytes(folder_ / file, f32_file({tensor}));
    const Finished finished = afp({"search", file, "--block", "128", "--report", page, "--quiet"});
    EXPECT_EQ(finished.exit_code, 0) << name << ": " << finished.err;
    EXPECT_TRUE(exists(page)) << name;
  }
}

TEST_F(Cli, ReportAndCostTableAreOfEveryN) {
  const Json json =
      afp_json({"search", "model", "--bits", "5", "--save-costs", "costs.json", "--report", "r.html"});
  for (const Json& tensor : json["tensors"])
    EXPECT_EQ(tensor.value("encoding", "E1M3+E2M2/16/ue4m3"), "E1M3+E2M2/16/ue4m3");
  EXPECT_EQ(Json::parse(read_bytes(folder_ / "costs.json"))["candidates"].size(), 7u);
  EXPECT_NE(read_bytes(folder_ / "r.html").find("N=5,block=16"), std::string::npos);
  // The same question of the table has the same answer.
  EXPECT_EQ(afp_json({"search", "model", "--bits", "5", "--costs", "costs.json"})["tensors"],
            json["tensors"]);
  EXPECT_EQ(afp_json({"search", "model", "--costs", "costs.json"})["tensors"],
            afp_json({"search", "model"})["tensors"]);
}

TEST_F(Cli, UniformAndPenaltyListTheirCandidates) {
  const Json json = afp_json({"search", "model", "--uniform", "--candidates", "N=3|4,block=tensor"});
  EXPECT_EQ(json["uniform"], (Json{{"bits", 4}, {"exponent_bits", 1}}));
  ASSERT_EQ(json["candidates"].size(), 5u);
  EXPECT_EQ(keys_of(json["candidates"][0]), (Words{"bits", "exponent_bits", "encoding", "cost", "penalty"}));
  const Json cheap = afp_json(
      {"search", "model", "--uniform", "--candidates", "N=3|4,block=tensor", "--penalty-exponent", "20"});
  EXPECT_EQ(cheap["uniform"]["bits"], 3);
}

TEST_F(Cli, PresetAsksTheOriginalsQuestion) {
  expect_failure({"search", "model", "--preset", "iccv2021", "--bits", "3"}, 2,
                 "--preset iccv2021 says itself what is searched; with it go --method, --seed, "
                 "--penalty-exponent and the "
                 "choice of tensors; see afp search --help");
  for (const char* method : {"exact", "anneal", "genetic", "bayes"}) {
    const Json json =
        afp_json({"search", "model", "--preset", "iccv2021", "--only", "layers.*weight", "--method", method});
    EXPECT_EQ(json["objective"], "kl-seed");
    EXPECT_EQ(json["candidates"].size(), 33u);
    EXPECT_TRUE(json.contains("uniform"));
  }
}

TEST_F(Cli, WrongSearchOptionsAreNamed) {
  const std::string see = "; see afp search --help";
  const std::pair<Words, std::string> cases[] = {
      {{"--target-bpw", "x"}, "--target-bpw: expected a number above 0, found 'x'"},
      {{"--target-bpw", "-3"}, "--target-bpw: expected a number above 0, found '-3'"},
      {{"--target-size", "big"}, "--target-size: expected a size as 3.5GB or 512MiB, found 'big'"},
      {{"--target-sqnr", "25dBm"}, "--target-sqnr: expected a number above 0, found '25dBm'"},
      {{"--target-sqnr", "25", "--target-bpw", "4"},
       "--target-bpw, --target-size and --target-sqnr exclude each other"},
      {{"--candidates", "N=9"}, "--candidates: 'N=9' holds '9'; expected a number from 2 to 8"},
      {{"--bits", "4", "--candidates", "N=3..5"}, "--bits contradicts the N of --candidates"},
      {{"--objective", "mae"}, "--objective: unknown objective 'mae'; expected mse, kl or kl-seed"},
      {{"--method", "guess"}, "--method: unknown method 'guess'; expected exact, anneal, genetic or bayes"},
      {{"--seed", "-1"}, "--seed: expected a number from 0 to 18446744073709551615, found '-1'"},
      {{"--chains", "9"}, "--chains goes with --method anneal"},
      {{"--method", "anneal", "--chains", "0"}, "--chains: expected a number from 1 to 65536, found '0'"},
      {{"--sample", "0"}, "--sample: expected a number from 1 to 1000000, found '0'"},
      {{"--penalty-exponent", "1"}, "--penalty-exponent goes with --uniform or --preset iccv2021"},
      {{"--preset", "nips"}, "--preset: expected iccv2021, found 'nips'"},
  };
  for (const auto& [options, message] : cases) {
    Words words = {"search", "model"};
    words.insert(words.end(), options.begin(), options.end());
    expect_failure(words, 2, message + see);
  }
  expect_failure(
      {"quantize", "model", "-o", "out", "--plan", "p.json", "--bits", "3"}, 2,
      "--plan decides about every tensor; options that choose tensors or Encodings contradict it; see afp "
      "quantize --help");
  expect_failure(
      {"quantize", "model", "-o", "out", "--plan", "p.json", "--target-bpw", "3"}, 2,
      "--plan decides about every tensor; options that choose tensors or Encodings contradict it; see afp "
      "quantize --help");
  expect_failure(
      {"quantize", "model", "-o", "out", "--target-bpw", "4", "--format", "E2M1"}, 2,
      "--format gives the Encoding whole, so that nothing is left to search; give --candidates, or --set "
      "REGEX=ENCODING for some tensors; see afp quantize --help");
  EXPECT_FALSE(exists("out"));
}

// --- Wrong usage: exit 2, one line, nothing done ---------------------------------------------------

TEST_F(Cli, WrongUsage) {
  const std::string see = "; see afp --help", see_quantize = "; see afp quantize --help";
  const auto expect_quantize = [&](Words words, const std::string& message) {
    words.insert(words.begin(), {"quantize", "model", "-o", "out"});
    expect_failure(words, 2, message + see_quantize);
  };
  expect_failure({}, 2, "a verb is missing" + see);
  expect_failure({"quantise"}, 2, "unknown verb 'quantise' (did you mean quantize?)" + see);
  expect_failure({"--verson"}, 2, "unknown option '--verson'" + see);
  expect_failure({"quantize"}, 2, "INPUT is missing" + see_quantize);
  expect_failure({"quantize", "model"}, 2, "-o OUTPUT is missing" + see_quantize);
  expect_failure({"quantize", "model", "-o"}, 2, "--output needs a value" + see_quantize);
  expect_failure({"quantize", "model", "-o", ""}, 2, "-o OUTPUT is missing" + see_quantize);
  expect_failure({"quantize", "model", "-o", "--force"}, 2,
                 "--output needs a value, found the option --force" + see_quantize);
  expect_failure({"dequantize", "packed"}, 2, "-o OUTPUT is missing; see afp dequantize --help");
  expect_failure({"dequantize", "packed", "-o", "out", "--dtype", "I8"}, 2,
                 "--dtype: expected BF16, F16 or F32, found 'I8'; see afp dequantize --help");
  expect_failure({"verify"}, 2, "PACKED is missing; see afp verify --help");
  expect_failure({"inspect", "a", "b"}, 2, "unexpected argument 'b'; see afp inspect --help");
  expect_quantize({"--bit", "3"}, "unknown option --bit (did you mean --bits?)");
  expect_quantize({"--xyzzy=3"}, "unknown option --xyzzy");
  expect_quantize({"--target-bbw", "3"}, "unknown option --target-bbw (did you mean --target-bpw?)");
  expect_quantize({"--bits", "3", "--bits", "3"}, "--bits is given twice");
  expect_quantize({"--bits"}, "--bits needs a value");
  expect_quantize({"--bits="}, "--bits needs a value");
  expect_quantize({"--force=yes"}, "--force takes no value");
  expect_quantize({"--bits", "9"}, "--bits: expected a number from 2 to 8, found '9'");
  expect_quantize({"--bits", "4x"}, "--bits: expected a number from 2 to 8, found '4x'");
  expect_quantize({"--block", "17"}, "--block: not a block: '17'; expected tensor, row, 16, 32, 64 or 128");
  expect_quantize({"--scale", "f32"}, "--scale: not a scale: 'f32'; expected e8m0 or ue4m3");
  expect_quantize({"--effort", "some"}, "--effort: expected exact or fast, found 'some'");
  expect_quantize({"--format", "int4"},
                  "--format: not a Format: 'int4'; expected E<exponent bits>M<mantissa bits>, as E2M1");
  expect_quantize({"--bits", "3", "--format", "E2M1"},
                  "--bits 3 contradicts --format E2M1, which has 4 bits");
  expect_quantize({"--format", "E2M1/32/e8m0", "--block", "32"},
                  "--format E2M1/32/e8m0 is a whole Encoding, it contradicts --block");
  expect_quantize({"--format", "E2M1/32", "--scale", "e8m0"},
                  "--format E2M1/32 is a whole Encoding, it contradicts --scale");
  expect_quantize({"--threads", "0"}, "--threads: expected a number from 1 to 4096, found '0'");
  expect_quantize({"--memory-budget", "lots"},
                  "--memory-budget: expected a size as 2GB or 512MiB, found 'lots'");
  expect_quantize({"--memory-budget", "1MB"}, "--memory-budget: expected 64MiB or more, found '1MB'");
  expect_quantize({"--backend", "gpu"}, "--backend: expected auto, cpu or cuda, found 'gpu'");
  expect_quantize({"--device", "0;1"},
                  "--device: expected an index as 0, several as 0,1, or all, found '0;1'");
  expect_quantize({"--backend", "cpu", "--device", "0"}, "--device and --backend cpu contradict each other");
  expect_quantize({"--device", "all", "--backend=cpu"}, "--device and --backend cpu contradict each other");
  expect_failure({"inspect", "model", "--backend", "cpu"}, 2,
                 "--backend goes with --stats; without it no weights are read; see afp inspect --help");
  expect_failure({"inspect", "model", "--device", "0"}, 2,
                 "--device goes with --stats; without it no weights are read; see afp inspect --help");
  expect_quantize({"--progress", "dots"}, "--progress: expected bar, json or none, found 'dots'");
  expect_quantize({"--quiet", "--verbose"}, "--quiet and --verbose contradict each other");
  EXPECT_FALSE(exists("out"));
}

TEST_F(Cli, RulesThatMakeNoSense) {
  for (const Words& rule : {Words{"--keep", "nosuch"}, Words{"--only", "("}, Words{"--set", "layers"},
                            Words{"--set", "layers=E9M9/32"}}) {
    Words words = {"quantize", "model", "-o", "out"};
    words.insert(words.end(), rule.begin(), rule.end());
    const Finished finished = afp(words);
    EXPECT_EQ(finished.exit_code, 2) << rule[1];
    EXPECT_EQ(lines_of(finished.err).size(), 1u) << finished.err;
    EXPECT_EQ(finished.out, "");
  }
  EXPECT_FALSE(exists("out"));
}

TEST_F(Cli, OutputThatHoldsSomethingElse) {
  std::filesystem::create_directory(folder_ / "out");
  write_bytes(folder_ / "out/precious.txt", "mine");
  const Finished finished = afp({"quantize", "model", "-o", "out"});
  EXPECT_EQ(finished.exit_code, 2);
  EXPECT_NE(finished.err.find("--force"), std::string::npos) << finished.err;
  EXPECT_EQ(lines_of(finished.err).size(), 1u);
  EXPECT_EQ(read_bytes(folder_ / "out/precious.txt"), "mine");
  EXPECT_EQ(afp({"quantize", "model", "-o", "out", "--force"}).exit_code, 0);
  EXPECT_FALSE(exists("out/precious.txt"));
}

// --- Bad input: exit 3 -----------------------------------------------------------------------------

TEST_F(Cli, BadInput) {
  write_bytes(folder_ / "empty.safetensors", "");
  write_bytes(folder_ / "text.safetensors", "these are no weights, not at all");
  const std::string whole = f32_file({{"w", {4, 4}}});
  write_bytes(folder_ / "cut.safetensors", whole.substr(0, whole.size() - 1));
  write_bytes(folder_ / "name\nwith\x1b[31mcolor", "");
  for (const char* path :
       {"missing", "empty.safetensors", "text.safetensors", "cut.safetensors", "name\nwith\x1b[31mcolor"}) {
    for (const Words& words : {Words{"inspect", path}, Words{"quantize", path, "-o", "out"},
                               Words{"dequantize", path, "-o", "out"}, Words{"verify", path}}) {
      const Finished finished = afp(words);
      EXPECT_EQ(finished.exit_code, 3) << words[0] << " " << path;
      EXPECT_EQ(lines_of(finished.err).size(), 1u) << finished.err;
      EXPECT_EQ(finished.err.find('\x1b'), std::string::npos) << finished.err;
      EXPECT_EQ(finished.out, "");
    }
  }
  EXPECT_FALSE(exists("out"));
}

TEST_F(Cli, CheckpointsOfTheOtherKind) {
  quantize_model();
  for (const Words& words :
       {Words{"quantize", "packed", "-o", "out"}, Words{"dequantize", "model", "-o", "out"},
        Words{"verify", "model"}, Words{"verify", "packed", "--against", "missing"}}) {
    const Finished finished = afp(words);
    EXPECT_EQ(finished.exit_code, 3) << words[0];
    EXPECT_EQ(lines_of(finished.err).size(), 1u) << finished.err;
  }
  EXPECT_FALSE(exists("out"));
}

TEST_F(Cli, NonFiniteWeightsAreNamedAndCounted) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  write_bytes(folder_ / "nan.safetensors",
              f32_file({{"good", {2, 2}}, {"bad", {2, 2}, {1.0f, nan, inf, 0.0f}}}));
  const Finished finished = afp({"quantize", "nan.safetensors", "-o", "out"});
  EXPECT_EQ(finished.exit_code, 3);
  EXPECT_EQ(lines_of(finished.err).size(), 1u) << finished.err;
  EXPECT_NE(finished.err.find("'bad'"), std::string::npos) << finished.err;
  EXPECT_NE(finished.err.find("2 "), std::string::npos) << finished.err;
  EXPECT_EQ(afp({"quantize", "nan.safetensors", "-o", "kept", "--keep", "bad"}).exit_code, 0);
}

TEST_F(Cli, RulesFilesThatCannotBeUsed) {
  expect_failure({"quantize", "model", "-o", "out", "--rules", "missing"}, 3,
                 "missing: cannot open: No such file or directory");
  expect_failure({"quantize", "model", "-o", "out", "--rules", "model"}, 3,
                 "model: is a folder, expected a file");
  write_bytes(folder_ / "rules", "# ours\n\nkeep lm_head\nfrobnicate\n");
  const Finished finished = afp({"quantize", "model", "-o", "out", "--rules", "rules"});
  EXPECT_NE(finished.exit_code, 0);
  EXPECT_NE(finished.err.find("rules: line 4: "), std::string::npos) << finished.err;
  EXPECT_EQ(lines_of(finished.err).size(), 1u) << finished.err;
}

TEST_F(Cli, FullStandardOutputIsAFailure) {
  const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  const int err = ::open((folder_ / "err").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  Finished finished;
  Program({AFP_PROGRAM, "inspect", "model"}, folder_.path(), full, err).ended(finished, true);
  ::close(full);
  ::close(err);
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_EQ(read_bytes(folder_ / "err"), "afp: stdout: cannot write the result: No space left on device\n");
}

// --- The backend ---------------------------------------------------------------------------------

TEST_F(Cli, ResultsNameTheCpu) {
  const Words on_cpu = {"--backend", "cpu"};
  const auto run = [&](Words words) {
    words.insert(words.end(), on_cpu.begin(), on_cpu.end());
    return afp_json(words);
  };
  afp_json({"search", "model", "--save-costs", "costs.json"});
  for (const Words& words :
       {Words{"quantize", "model", "-o", "packed"}, Words{"verify", "packed"},
        Words{"dequantize", "packed", "-o", "plain"}, Words{"search", "model", "-o", "plan.json"},
        Words{"search", "model", "--preset", "iccv2021", "--only", "layers"}}) {
    const Json json = run(words);
    EXPECT_EQ(json["backend"], "cpu") << words[0];
    EXPECT_TRUE(json["device"].is_null() && json["peak_device_memory"].is_null()) << words[0];
  }
  const Json solved = run({"search", "model", "--costs", "costs.json"});  // nothing is measured
  for (const char* key : {"backend", "device", "peak_device_memory"})
    EXPECT_TRUE(solved[key].is_null()) << key;

  for (const Words& words : {Words{"quantize", "model", "-o", "packed2"}, Words{"search", "model"},
                             Words{"dequantize", "packed", "-o", "plain2"}}) {
    Words with = words;
    with.insert(with.end(), on_cpu.begin(), on_cpu.end());
    EXPECT_NE(afp(with).out.find("\n  backend     cpu\n"), std::string::npos) << words[0];
  }
  EXPECT_EQ(run({"inspect", "model", "--stats"}), afp_json({"inspect", "model", "--stats"}));
}

class CliWithoutCuda : public Cli {
 protected:
  // Whether this build or this machine lacks CUDA.
  void SetUp() override {
    Cli::SetUp();
    if (afp({"inspect", "model", "--stats", "--backend", "cuda"}).exit_code == 0)
      GTEST_SKIP() << "there is a GPU that can be used";
    has_build_ = afp({"--version"}).out.find(" cuda (") != std::string::npos;
  }
  std::string why() const {
    return has_build_ ? "the CUDA backend cannot be used: no " : "this build has no CUDA backend";
  }
  // One line, nothing written.
  void expect_refusal(Words words) const {
    const Finished finished = afp(words);
    EXPECT_EQ(finished.exit_code, has_build_ ? 1 : 2);
    EXPECT_EQ(finished.out, "");
    EXPECT_EQ(lines_of(finished.err).size(), 1u) << finished.err;
    EXPECT_TRUE(finished.err.starts_with("afp: " + why())) << finished.err;
  }
  bool has_build_ = false;
};

TEST_F(CliWithoutCuda, AskingForItIsRefusedBeforeAnythingIsDone) {
  quantize_model();
  afp_json({"search", "model", "--save-costs", "costs.json"});
  for (Words words :
       {Words{"quantize", "model", "-o", "out"},
        Words{"quantize", "model", "-o", "out", "--target-bpw", "4.6"},
        Words{"quantize", "model", "--dry-run"}, Words{"search", "model", "-o", "out"},
        Words{"search", "model", "-o", "out", "--costs", "costs.json", "--report", "out.html"},
        Words{"search", "model", "-o", "out", "--preset", "iccv2021", "--only", "layers"},
        Words{"dequantize", "packed", "-o", "out"}, Words{"verify", "packed", "--against", "model"},
        Words{"inspect", "packed", "--stats"}}) {
    words.insert(words.end(), {"--backend", "cuda"});
    expect_refusal(words);
  }
  for (const Words& devices :
       {Words{"--device", "all", "--backend", "cuda"}, Words{"--device", "0"}, Words{"--device", "1,0"}}) {
    Words words = {"quantize", "model", "-o", "out"};
    words.insert(words.end(), devices.begin(), devices.end());
    expect_refusal(words);
  }
  for (const char* name : {"out", "out.html"}) EXPECT_FALSE(exists(name)) << name;

  // Nor is what is there touched, though --force says it may be.
  const std::string manifest = read_bytes(folder_ / "packed/afp_manifest.json");
  expect_refusal({"quantize", "model", "-o", "packed", "--force", "--backend", "cuda"});
  EXPECT_EQ(read_bytes(folder_ / "packed/afp_manifest.json"), manifest);
}

TEST_F(CliWithoutCuda, VerboseSaysWhy) {
  const std::string reason =
      has_build_ ? "cpu, because no " : "cpu, because this build has no CUDA backend\n";
  for (Words words : {Words{"quantize", "model", "-o", "packed"}, Words{"verify", "packed"},
                      Words{"dequantize", "packed", "-o", "plain"}, Words{"search", "model"},
                      Words{"quantize", "model", "-o", "packed2", "--device", "all"}}) {
    words.push_back("--verbose");
    const Finished finished = afp(words);
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    EXPECT_NE(finished.out.find(reason), std::string::npos) << finished.out;
  }
  // Not unasked, and not of a choice that was made.
  for (const Words& words : {Words{"quantize", "model", "--dry-run"},
                             Words{"quantize", "model", "--dry-run", "--verbose", "--backend", "cpu"}})
    EXPECT_EQ(afp(words).out.find("because"), std::string::npos);
}

// --- JSON ------------------------------------------------------------------------------------------

TEST_F(Cli, InspectJson) {
  const Json json = afp_json({"inspect", "model"});
  EXPECT_EQ(keys_of(json), (Words{"kind", "tensors", "total"}));
  EXPECT_EQ(json["kind"], "safetensors");
  EXPECT_EQ(json["tensors"][0].dump(),
            R"({"name":"layers.0.weight","dtype":"F32","shape":[32,64],"bytes":8192})");
  EXPECT_EQ(json["total"].dump(), R"({"tensors":4,"bytes":14592,"weights":3648})");
}

TEST_F(Cli, InspectJsonWithStats) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::string f32(R"("dtype":"F32","shape":[2,3],"data_offsets":[0,24])"),
      u8(R"("dtype":"U8","shape":[1],"data_offsets":[24,25])");
  const std::vector<float> values = {0.0f, -0.0f, 0.1f, -2.5f, nan, nan};
  std::string data(reinterpret_cast<const char*>(values.data()), 24);
  write_bytes(folder_ / "s.safetensors",
              safetensors_bytes(R"({"w":{)" + f32 + R"(},"b":{)" + u8 + "}}", data + "x"));
  const Json json = afp_json({"inspect", "s.safetensors", "--stats"});
  EXPECT_EQ(json["tensors"][0].dump(),
            R"({"name":"w","dtype":"F32","shape":[2,3],"bytes":24,"absmax":2.5,"zeros":2,"nonfinite":2})");
  EXPECT_EQ(keys_of(json["tensors"][1]), (Words{"name", "dtype", "shape", "bytes"}));
}

TEST_F(Cli, InspectJsonOfPackedCheckpoints) {
  afp_json(
      {"quantize", "model", "-o", "packed", "--set", "layers.1=E2M1/tensor", "--set", "layers.0.w=E3M2/row"});
  const Json json = afp_json({"inspect", "packed", "--stats"});
  EXPECT_EQ(json["kind"], "afp");
  const Json& row = json["tensors"][0];
  EXPECT_EQ(keys_of(row),
            (Words{"name", "dtype", "shape", "bytes", "encoding", "absmax", "zeros", "nonfinite"}));
  EXPECT_EQ(row["encoding"], "E3M2/row/e8m0");
  EXPECT_EQ(row["bytes"], 32 * 64 * 6 / 8 + 32);
  EXPECT_EQ(json["tensors"][1]["encoding"], "E2M1/tensor/e8m0");
  EXPECT_EQ(json["tensors"][1]["bytes"], 16 * 64 / 2 + 1);
  EXPECT_FALSE(json["tensors"][2].contains("encoding"));
  EXPECT_EQ(keys_of(json["total"]), (Words{"tensors", "bytes", "weights", "bpw"}));
  EXPECT_DOUBLE_EQ(json["total"]["bpw"].get<double>(), 8.0 * (1568 + 513) / (48 * 64));

  // What the values decode to, read the other way.
  afp_json({"dequantize", "packed", "-o", "plain"});
  const Json plain = afp_json({"inspect", "plain", "--stats"});
  for (std::size_t i = 0; i < 4; ++i)
    for (const char* key : {"absmax", "zeros", "nonfinite"})
      EXPECT_EQ(json["tensors"][i][key], plain["tensors"][i][key]) << key;
}

TEST_F(Cli, QuantizeJson) {
  const Json json = afp_json({"quantize", "model", "-o", "packed"});
  EXPECT_EQ(keys_of(json), (Words{"tensors", "total", "seconds", "gb_per_s", "backend", "device",
                                  "peak_device_memory", "resumed_shards"}));
  EXPECT_EQ(keys_of(json["tensors"][0]),
            (Words{"name", "shape", "encoding", "bits", "bpw", "sqnr_db", "packed_bytes"}));
  EXPECT_EQ(json["tensors"][0]["encoding"], "E1M2+E2M1/16/ue4m3");
  EXPECT_EQ(keys_of(json["tensors"][2]), (Words{"name", "kept"}));
  EXPECT_EQ(keys_of(json["total"]), (Words{"source_bytes", "packed_bytes", "bpw", "sqnr_db"}));
  EXPECT_EQ(keys_of(json["seconds"]), (Words{"read", "search", "encode", "write", "total"}));
  EXPECT_EQ(json["total"]["source_bytes"], 14592);
  EXPECT_GT(json["total"]["sqnr_db"].get<double>(), 15.0);
}

TEST_F(Cli, LosslessTensorsHaveNoDecibels) {
  write_bytes(folder_ / "ones.safetensors", f32_file({{"w", {4, 16}, std::vector<float>(64, 1.0f)}}));
  const Json json = afp_json({"quantize", "ones.safetensors", "-o", "packed"});
  EXPECT_TRUE(json["tensors"][0]["sqnr_db"].is_null()) << json;
  EXPECT_TRUE(json["total"]["sqnr_db"].is_null()) << json;
}

TEST_F(Cli, VerifyAndDequantizeJson) {
  quantize_model();
  const Json good = afp_json({"verify", "packed"});
  EXPECT_EQ(good["ok"], true);
  EXPECT_EQ(good["tensors"], 4);
  EXPECT_EQ(good["problems"].dump(), "[]");
  EXPECT_EQ(keys_of(good), (Words{"ok", "tensors", "problems", "backend", "device", "peak_device_memory"}));
  const Json against = afp_json({"verify", "packed", "--against", "model"});
  EXPECT_EQ(keys_of(against),
            (Words{"ok", "tensors", "problems", "sqnr_db", "backend", "device", "peak_device_memory"}));
  const Json plain = afp_json({"dequantize", "packed", "-o", "plain", "--dtype", "BF16"});
  EXPECT_EQ(keys_of(plain), (Words{"tensors", "packed_bytes", "written_bytes", "seconds", "gb_per_s",
                                   "backend", "device", "peak_device_memory"}));
  EXPECT_EQ(afp_json({"inspect", "plain"})["tensors"][0]["dtype"], "BF16");
}

TEST_F(Cli, VerifyFindsAFlippedBit) {
  quantize_model();
  std::string bytes = read_bytes(folder_ / "packed/model.safetensors");
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  write_bytes(folder_ / "packed/model.safetensors", bytes);
  const Finished finished = afp({"verify", "packed", "--json", "--progress", "none"});
  EXPECT_EQ(finished.exit_code, 3);
  EXPECT_EQ(finished.err, "afp: packed: 1 problem found\n");
  const Json json = Json::parse(finished.out);
  EXPECT_EQ(json["ok"], false);
  ASSERT_EQ(json["problems"].size(), 1u);
  EXPECT_EQ(keys_of(json["problems"][0]), (Words{"name", "what"}));
}

// --- How options combine ---------------------------------------------------------------------------

TEST_F(Cli, OptionsCombineToOneEncoding) {
  const std::map<Words, std::string> expected = {
      {{}, "E1M2+E2M1/16/ue4m3"},
      {{"--bits", "2"}, "E1M0/16/ue4m3"},
      {{"--bits=6", "--block", "64"}, "E1M4+E2M3/64/ue4m3"},
      {{"--format", "E3M2"}, "E3M2/16/ue4m3"},
      {{"--format", "E3M2", "--block", "row"}, "E3M2/row/e8m0"},
      {{"--format", "E2M1", "--block", "32", "--scale", "e8m0"}, "E2M1/32/e8m0"},
      {{"--format", "E2M1/tensor"}, "E2M1/tensor/e8m0"},
      {{"--format", "E1M2+E2M1", "--block", "128"}, "E1M2+E2M1/128/ue4m3"},
      {{"--format", "E0M3/row/e8m0", "--bits", "4"}, "E1M2/row/e8m0"},
  };
  int run = 0;
  for (const auto& [options, encoding] : expected) {
    Words words = {"quantize", "model", "-o", "out" + std::to_string(run++)};
    words.insert(words.end(), options.begin(), options.end());
    EXPECT_EQ(afp_json(words)["tensors"][0]["encoding"], encoding);
  }
  const std::string searched = afp_json(
      {"quantize", "model", "-o", "searched", "--block", "tensor", "--bits", "3"})["tensors"][0]["encoding"];
  EXPECT_TRUE(std::regex_match(searched, std::regex("E[12]M[01]/tensor/e8m0"))) << searched;
}

TEST_F(Cli, TheLastRuleThatMatchesWins) {
  const auto encoding = [&](const Words& rules) {
    Words words = {"quantize", "model", "--dry-run"};
    words.insert(words.end(), rules.begin(), rules.end());
    const Json tensor = afp_json(words)["tensors"][0];
    return tensor.contains("kept") ? std::string("kept") : tensor["encoding"].get<std::string>();
  };
  write_bytes(folder_ / "rules", "set layers.0.w=E3M2/row\n");
  EXPECT_EQ(encoding({"--keep", "layers.0", "--set", "layers.0.w=E2M1/32"}), "E2M1/32/ue4m3");
  EXPECT_EQ(encoding({"--set", "layers.0.w=E2M1/32", "--keep", "layers.0"}), "kept");
  EXPECT_EQ(encoding({"--set", "layers.0.w=E2M1/32", "--rules", "rules"}), "E3M2/row/e8m0");
  EXPECT_EQ(encoding({"--rules", "rules", "--set", "layers.0.w=E2M1/32"}), "E2M1/32/ue4m3");
  EXPECT_EQ(encoding({"--only", "layers.1"}), "kept");
  EXPECT_EQ(encoding({"--only", "layers.1", "--set", "layers.0.w=E2M1/32"}), "E2M1/32/ue4m3");
}

TEST_F(Cli, DryRunPredictsAndWritesNothing) {
  const Json dry = afp_json({"quantize", "model", "-o", "out", "--dry-run"});
  EXPECT_FALSE(exists("out"));
  EXPECT_EQ(dry["dry_run"], true);
  EXPECT_GT(dry["peak_memory"].get<std::uint64_t>(), 0u);
  const Json real = afp_json({"quantize", "model", "-o", "out"});
  EXPECT_EQ(dry["tensors"], real["tensors"]);
  EXPECT_EQ(dry["total"], real["total"]);
  EXPECT_FALSE(real.contains("dry_run"));
}

// --- What people see -------------------------------------------------------------------------------

TEST_F(Cli, QuantizeEndsWithATable) {
  const Finished finished = afp({"quantize", "model", "-o", "packed", "--progress", "none"});
  EXPECT_EQ(finished.err, "");
  for (const char* word :
       {"Quantized 2 of 4 tensors, kept 2", "size", "bpw", "SQNR", "time", "read", "search", "encode",
        "write", "GB/s", "layers.0.weight", "E1M2+E2M1/16/ue4m3", "dB"})
    EXPECT_NE(finished.out.find(word), std::string::npos) << word << " is missing in\n" << finished.out;
  EXPECT_EQ(finished.out.find("layers.0.norm"), std::string::npos);
  for (const std::string& line : lines_of(finished.out)) EXPECT_LE(line.size(), 80u) << line;
  const Finished verbose = afp({"quantize", "model", "-o", "packed2", "--verbose"});
  EXPECT_NE(verbose.out.find("layers.0.norm"), std::string::npos) << verbose.out;
}

TEST_F(Cli, QuietSaysNothing) {
  for (const Words& words : {Words{"quantize", "model", "-o", "packed"}, Words{"verify", "packed"},
                             Words{"dequantize", "packed", "-o", "plain"}}) {
    Words quiet = words;
    quiet.push_back("--quiet");
    const Finished finished = afp(quiet);
    EXPECT_EQ(finished.exit_code, 0);
    EXPECT_EQ(finished.out + finished.err, "") << words[0];
  }
}

TEST_F(Cli, ProgressAsJsonEndsComplete) {
  const Finished finished = afp({"quantize", "model", "-o", "packed", "--progress", "json"});
  ASSERT_EQ(finished.exit_code, 0);
  const std::vector<std::string> lines = lines_of(finished.err);
  ASSERT_FALSE(lines.empty());
  const Json last = Json::parse(lines.back());
  EXPECT_EQ(keys_of(last), (Words{"bytes_done", "bytes_total", "bytes_per_second", "seconds", "tensor"}));
  EXPECT_EQ(last["bytes_done"], 14592);
  EXPECT_EQ(last["bytes_total"], 14592);
  // and that is the default where stderr is no terminal
  const Finished by_default = afp({"quantize", "model", "-o", "packed2"});
  EXPECT_EQ(Json::parse(lines_of(by_default.err).back())["bytes_done"], 14592);
}

TEST_F(Cli, TheBarIsGoneWhenTheRunIsOver) {
  const Finished finished = afp({"quantize", "model", "-o", "packed", "--progress", "bar"});
  EXPECT_NE(finished.err.find('%'), std::string::npos);
  EXPECT_EQ(finished.err.find('\n'), std::string::npos);
  const std::size_t last = finished.err.rfind('\r', finished.err.size() - 2);
  EXPECT_EQ(finished.err.find_first_not_of(" \r", last), std::string::npos) << finished.err;
}

// --- Signals ---------------------------------------------------------------------------------------

// A pipe that is full: who writes to it stands still until it is read.
struct FullPipe {
  FullPipe() {
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    ::fcntl(ends[1], F_SETFL, O_NONBLOCK);
    const std::string filling(4096, '.');
    while (::write(ends[1], filling.data(), filling.size()) > 0) ++pages;
    ::fcntl(ends[1], F_SETFL, 0);
  }
  ~FullPipe() {
    ::close(ends[0]);
    close_write_end();
  }
  void close_write_end() {
    if (ends[1] >= 0) ::close(ends[1]);
    ends[1] = -1;
  }
  // Everything that was written to it after it was full; the writer must have ended or end now.
  std::string drain() {
    close_write_end();
    std::string text(1 << 16, '\0'), all;
    for (ssize_t got = 0; (got = ::read(ends[0], text.data(), text.size())) > 0;)
      all.append(text.data(), static_cast<std::size_t>(got));
    return all.substr(pages * 4096);
  }
  int ends[2] = {-1, -1};
  std::size_t pages = 0;
};

class InterruptedCli : public Cli {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(folder_ / "big model");
    Json index;
    for (const char* shard : {"1", "2", "3"}) {
      const std::string file = std::string("model-0000") + shard + "-of-00003.safetensors",
                        tensor = std::string("w") + shard;
      write_bytes(folder_ / "big model" / file, f32_file({{tensor, {64, 256}}}));
      index["weight_map"][tensor] = file;
    }
    write_bytes(folder_ / "big model/model.safetensors.index.json", index.dump());
  }

  // Starts quantizing; the program stands still at the first drawing of its bar, if not before.
  Program start(FullPipe& err) const {
    const int out = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    const Program program({AFP_PROGRAM, "quantize", "big model", "-o", "out", "--force", "--progress", "bar"},
                          folder_.path(), out, err.ends[1]);
    ::close(out);
    while (!exists("out")) ::usleep(1000);  // the signals are caught long before
    return program;
  }
};

TEST_F(InterruptedCli, ASignalEndsCleanlyAndTheCommandPrintedGoesOn) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    FullPipe err;
    Program program = start(err);
    ::kill(program.pid(), signal);
    const std::string text = err.drain();
    Finished finished;
    program.ended(finished, true);
    EXPECT_EQ(finished.exit_code, 75) << text;
    // behind the bar and its removal
    EXPECT_EQ(text.substr(text.rfind('\r') + 1),
              "afp: interrupted; to go on: " AFP_PROGRAM " quantize 'big model' -o out --progress bar\n");
    EXPECT_FALSE(exists("out/afp_manifest.json"));

    const Finished resumed = run_program(
        {AFP_PROGRAM, "quantize", "big model", "-o", "out", "--progress", "none"}, folder_.path());
    EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
    EXPECT_TRUE(exists("out/afp_manifest.json"));
    std::filesystem::remove_all(folder_ / "out");
  }
}

TEST_F(InterruptedCli, ASecondSignalEndsAtOnce) {
  FullPipe err;
  Program program = start(err);
  Finished finished;
  while (!program.ended(finished)) {
    ::kill(program.pid(), SIGINT);
    ::usleep(1000);
  }
  EXPECT_EQ(finished.signal, SIGINT);
}

// --- Completion ------------------------------------------------------------------------------------

std::set<std::string> options_in(const std::string& help) {
  std::set<std::string> options;
  const std::regex option("(^|[ ,])(--?[a-z][a-z-]*)");
  for (const std::string& line : lines_of(help)) {
    if (!line.starts_with("  -")) continue;
    const std::string label = line.substr(2, line.find("  ", 2) - 2);
    for (std::sregex_iterator match(label.begin(), label.end(), option), end; match != end; ++match)
      options.insert((*match)[2]);
  }
  return options;
}

TEST_F(Cli, BashCompletesExactlyTheOptionsOfEveryVerb) {
  for (const std::string& verb : kVerbs) {
    const Finished finished =
        run_program({"bash", "-c",
                     "source " AFP_SOURCE_ROOT "/host/cli/completion/afp.bash; COMP_WORDS=(afp " + verb +
                         " -); COMP_CWORD=2; _afp; printf '%s\\n' \"${COMPREPLY[@]}\""},
                    folder_.path());
    const std::vector<std::string> words = lines_of(finished.out);
    EXPECT_EQ(std::set<std::string>(words.begin(), words.end()), options_in(afp({verb, "--help"}).out))
        << finished.err;
  }
  const Finished verbs =
      run_program({"bash", "-c",
                   "source " AFP_SOURCE_ROOT "/host/cli/completion/afp.bash; COMP_WORDS=(afp ''); "
                   "COMP_CWORD=1; _afp; printf '%s\\n' \"${COMPREPLY[@]}\""},
                  folder_.path());
  for (const std::string& verb : kVerbs) EXPECT_NE(verbs.out.find(verb), std::string::npos);
}

TEST_F(Cli, ZshCompletionNamesTheOptionsOfEveryVerb) {
  const std::string script = read_bytes(AFP_SOURCE_ROOT "/host/cli/completion/_afp");
  std::set<std::string> known;
  for (const std::string& verb : kVerbs) {
    EXPECT_NE(script.find("'" + verb + ":"), std::string::npos);
    const std::size_t begin = script.find("\n    " + verb + ")");
    ASSERT_NE(begin, std::string::npos);
    std::string part = script.substr(begin, script.find(";;", begin) - begin);
    for (const char* group : {"choosing", "searching", "resources", "reporting", "devices"}) {
      if (part.find(std::string("$") + group) == std::string::npos) continue;
      const std::size_t start = script.find(std::string("\n  ") + group + "=(");
      part += script.substr(start, script.find("\n  )", start) - start);
    }
    std::set<std::string> options;
    const std::regex option(R"(['*{,](--?[a-z][a-z-]*)(?=[\[,}]))");
    for (std::sregex_iterator match(part.begin(), part.end(), option), end; match != end; ++match)
      options.insert((*match)[1]);
    EXPECT_EQ(options, options_in(afp({verb, "--help"}).out)) << verb;
  }
}

}  // namespace
}  // namespace afp
