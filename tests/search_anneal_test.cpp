// Annealing: its neighbourhood against the original's rule from every place, its arithmetic against long
// double, its chains against each other, and what it finds against the exact solver.
#include <Random123/philox.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "afp/annealing.hpp"
#include "afp/chain_runner.hpp"
#include "afp/philox.hpp"
#include "host/search/chains.hpp"
#include "host/search/elementary.hpp"
#include "host/search/neighbourhood.hpp"
#include "host/search/random.hpp"
#include "host/search/thread_runner.hpp"
#include "host/search/walk.hpp"
#include "search_problems.hpp"

namespace afp {
namespace {

using search_detail::Chains;
using search_detail::Neighbourhood;
using search_detail::Philox;
using search_detail::Purpose;
using search_detail::ThreadRunner;
using search_detail::Threads;
using search_detail::Walk;
using Place = std::pair<int, int>;

// Known answers of the authors' own distribution of Random123 (kat_vectors).
TEST(SearchRandom, IsPhilox) {
  // Counter and key 0, but for the purpose in the last word of the counter, which is 0 for `start`.
  ASSERT_EQ(static_cast<int>(Purpose::start), 0);
  const auto words = Philox(0, Purpose::start)(0, 0);
  EXPECT_EQ(words, (std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
}

TEST(SearchRandom, TheStepsWordsAreRandom123s) {
  Random random(12);
  for (int repeat = 0; repeat < 10'000; ++repeat) {
    PhiloxWords counter{};
    for (std::uint32_t& word : counter.word) word = static_cast<std::uint32_t>(random());
    const auto key_0 = static_cast<std::uint32_t>(random()), key_1 = static_cast<std::uint32_t>(random());
    const r123::Philox4x32::ctr_type expected = r123::Philox4x32()(
        {{counter.word[0], counter.word[1], counter.word[2], counter.word[3]}}, {{key_0, key_1}});
    const PhiloxWords words = philox_words(counter, key_0, key_1);
    for (std::size_t i = 0; i < 4; ++i) ASSERT_EQ(words.word[i], expected[i]);

    const std::uint64_t seed = random(), step = random();
    const auto chain = static_cast<std::uint32_t>(random());
    const std::array<std::uint32_t, 4> move = Philox(seed, Purpose::move)(chain, step);
    for (std::size_t i = 0; i < 4; ++i) ASSERT_EQ(move_words(seed, chain, step).word[i], move[i]);
  }
}

TEST(SearchRandom, StreamsDiffer) {
  std::set<std::array<std::uint32_t, 4>> seen;
  int drawn = 0;
  for (const std::uint64_t seed : {0ull, 1ull, 1ull << 32})
    for (const Purpose purpose : {Purpose::start, Purpose::move})
      for (const std::uint32_t stream : {0u, 1u})
        for (const std::uint64_t step : {0ull, 1ull, 1ull << 32}) {
          seen.insert(Philox(seed, purpose)(stream, step));
          ++drawn;
        }
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(drawn));
}

TEST(SearchRandom, BelowIsEvenAndUnitIsInside) {
  for (const std::uint32_t count : {1u, 3u, 1000u}) {
    EXPECT_EQ(draw_below(count, 0), 0u);
    EXPECT_EQ(draw_below(count, 0xFFFFFFFF), count - 1);
  }
  std::vector<int> hits(7, 0);
  for (std::uint64_t word = 0; word < (1ull << 32); word += 65'521)
    ++hits[draw_below(7, static_cast<std::uint32_t>(word))];
  const auto [least, most] = std::minmax_element(hits.begin(), hits.end());
  EXPECT_LE(*most - *least, 1);
  EXPECT_GT(draw_unit(0), 0.0);
  EXPECT_LT(draw_unit(0xFFFFFFFF), 1.0);
}

TEST(SearchAcceptance, FollowsTheTemperature) {
  EXPECT_TRUE(accepts(-1.0, 0.0, 0.999));
  EXPECT_TRUE(accepts(0.0, 0.0, 0.999));
  EXPECT_FALSE(accepts(1e-300, 0.0, 0.001));
  // delta < -T log2(u): with T = 2 and u = 1/8 below 6.
  EXPECT_TRUE(accepts(5.999, 2.0, 0.125));
  EXPECT_FALSE(accepts(6.0, 2.0, 0.125));
}

TEST(SearchElementary, AgreesWithTheLibrary) {
  Random random(2);
  for (int repeat = 0; repeat < 100'000; ++repeat) {
    const double x = 1400.0 * random_unit(random) - 700.0;
    const auto exact = static_cast<double>(std::exp(static_cast<long double>(x)));
    EXPECT_NEAR(search_detail::exponential(x), exact, 1e-15 * exact) << x;
    const double y = std::ldexp(0.5 + random_unit(random), static_cast<int>(random_below(random, 200)) - 100);
    EXPECT_NEAR(search_detail::natural_log(y), std::log(y), 1e-15 * std::max(1.0, std::fabs(std::log(y))));
    const double z = 20.0 * random_unit(random) - 10.0;
    const double below = 0.5 * std::erfc(-z / std::sqrt(2.0));
    EXPECT_NEAR(search_detail::normal_below(z), below, 1.3e-7 * below) << z;
  }
  EXPECT_EQ(search_detail::exponential(0.0), 1.0);
  EXPECT_EQ(search_detail::exponential(-1000.0), 0.0);
  EXPECT_TRUE(std::isfinite(search_detail::exponential(1000.0)));
}

// --- The neighbourhood -----------------------------------------------------------------------------------

std::vector<SearchProblem::Column> triangle(int lowest, int highest) {
  std::vector<SearchProblem::Column> columns;
  for (int bits = lowest; bits <= highest; ++bits)
    for (int exponent = 0; exponent < bits; ++exponent) columns.push_back({bits, exponent});
  return columns;
}

// The odds of every place from (N, E), as the original draws.
std::map<Place, double> original_odds(int n, int e, int lowest, int highest) {
  std::map<Place, double> odds;
  const int n_from = std::max({n - 1, e + 1, lowest}), n_to = std::min(n + 1, highest);
  for (int n2 = n_from; n2 <= n_to; ++n2) {
    const int e_from = std::max(e - 1, 0), e_to = std::min({e + 1, n2 - 1, n - 1});
    for (int e2 = e_from; e2 <= e_to; ++e2) odds[{n2, e2}] += 1.0 / (n_to - n_from + 1) / (e_to - e_from + 1);
  }
  return odds;
}

// A problem of one row whose columns these are.
SearchProblem one_row(std::vector<SearchProblem::Column> columns) {
  SearchProblem problem;
  problem.rows = 1;
  problem.costs.assign(columns.size(), 1.0);
  problem.bytes.assign(columns.size(), 1);
  problem.columns = std::move(columns);
  return problem;
}

// How often each column is drawn from `from`.
std::map<std::uint32_t, int> draws(const Walk& walk, std::uint32_t from, int count) {
  std::map<std::uint32_t, int> hits;
  for (int step = 0; step < count; ++step)
    ++hits[draw_proposal(walk.problem(), &from, move_words(3, from, static_cast<std::uint64_t>(step)))
               .column];
  return hits;
}

TEST(SearchNeighbourhood, DrawsAsTheOriginalFromEveryPlace) {
  constexpr int kDraws = 6000;
  for (const auto& [lowest, highest] : {Place(2, 8), Place(3, 8), Place(4, 4), Place(1, 2)}) {
    const SearchProblem problem = one_row(triangle(lowest, highest));
    const Walk walk(problem);
    for (std::uint32_t from = 0; from < problem.columns.size() && problem.columns.size() > 1; ++from) {
      const auto [n, e] = problem.columns[from];
      const std::map<Place, double> odds = original_odds(n, e, lowest, highest);
      std::map<Place, int> hits;
      for (const auto& [column, count] : draws(walk, from, kDraws))
        hits[{problem.columns[column].bits, problem.columns[column].exponent_bits}] += count;
      double chi_square = 0.0;
      for (const auto& [place, probability] : odds) {
        const double expected = kDraws * probability;
        chi_square += (hits[place] - expected) * (hits[place] - expected) / expected;
      }
      EXPECT_EQ(hits.size(), odds.size()) << "a place that the original does not reach, or one missing";
      // At most 8 degrees of freedom: 40 is beyond one in 300,000.
      EXPECT_LT(chi_square, 40.0) << n << "," << e;
    }
  }
}

// All columns that can be drawn from one, by a grid of words fine enough for their counts.
std::set<std::uint32_t> reachable_in_one(const Neighbourhood& near, std::uint32_t from, bool& stays) {
  std::set<std::uint32_t> reached;
  constexpr std::uint32_t kStep = 0x01000000;
  for (std::uint32_t bits = 0; bits < 256; bits += 3)
    for (std::uint32_t exponent = 0; exponent < 256; exponent += 25)
      for (std::uint32_t column = 0; column < 256; column += 15) {
        const std::uint32_t to = near.draw(from, bits * kStep, exponent * kStep, column * kStep);
        if (to == kNoMove)
          stays = true;
        else
          reached.insert(to);
      }
  return reached;
}

TEST(SearchNeighbourhood, ReachesEveryAvailableColumnAndNoOther) {
  Random random(4);
  for (int repeat = 0; repeat < 300; ++repeat) {
    std::vector<SearchProblem::Column> columns(1 + random_below(random, 12));
    std::vector<bool> available(columns.size());
    std::set<std::uint32_t> expected;
    for (std::uint32_t column = 0; column < columns.size(); ++column) {
      columns[column] = {static_cast<int>(random_below(random, 9)),
                         static_cast<int>(random_below(random, 6)) - 1};
      if (random_below(random, 8) == 0) columns[column] = {16, 8};  // kept as it is
      if (repeat % 10 == 0) columns[column] = {0, 0};               // no place of the original's, for all
      available[column] = random_below(random, 4) != 0;
      if (available[column]) expected.insert(column);
    }
    if (expected.empty()) continue;
    const Neighbourhood near(columns, available);
    EXPECT_EQ(std::set(near.available().begin(), near.available().end()), expected);
    std::map<std::uint32_t, std::set<std::uint32_t>> steps;
    bool stays = false;
    for (const std::uint32_t from : expected) steps[from] = reachable_in_one(near, from, stays);
    for (const std::uint32_t from : expected) {
      std::set<std::uint32_t> reached = {from};
      std::vector<std::uint32_t> open = {from};
      while (!open.empty()) {
        const std::uint32_t at = open.back();
        open.pop_back();
        for (const std::uint32_t to : steps[at])
          if (reached.insert(to).second) open.push_back(to);
      }
      EXPECT_EQ(reached, expected);
    }
  }
}

TEST(SearchNeighbourhood, HasNoBridgesWhereTheOriginalNeedsNone) {
  // From (4, 2) of a whole triangle: no place farther than one step, whatever the words.
  const auto columns = triangle(2, 8);
  const Neighbourhood near(columns, std::vector<bool>(columns.size(), true));
  for (std::uint32_t from = 0; from < columns.size(); ++from) {
    bool stays = false;
    for (const std::uint32_t to : reachable_in_one(near, from, stays)) {
      EXPECT_LE(std::abs(columns[to].bits - columns[from].bits), 1);
      EXPECT_LE(std::abs(columns[to].exponent_bits - columns[from].exponent_bits), 1);
    }
    EXPECT_FALSE(stays) << "a whole triangle has no gap";
  }
}

TEST(SearchNeighbourhood, DrawsColumnsOfAPlaceEvenly) {
  // Three columns at (4, 1), and (5, 1): from any of them N' is 4 or 5, E' is 0, 1 or 2, of which 1 is there.
  const SearchProblem problem = one_row({{4, 1}, {4, 1}, {5, 1}, {4, 1}});
  const Walk walk(problem);
  std::map<std::uint32_t, int> hits = draws(walk, 0, 36'000);
  for (const std::uint32_t column : {1u, 3u}) EXPECT_NEAR(hits[column], 2000, 200);
  EXPECT_NEAR(hits[2], 6000, 300);
}

// --- Scores and chains -----------------------------------------------------------------------------------

TEST(SearchProposals, AreScoredAsTheSumsDiffer) {
  Random random(5);
  for (int repeat = 0; repeat < 200; ++repeat) {
    SearchProblem problem = small_problem(random, Costs::even);
    problem.budget = optimum_of(problem).least_bytes + random_below(random, 20);
    const Walk walk(problem);
    if (walk.free_rows().empty()) continue;
    const double price = 3.0 * random_unit(random);
    const auto energy = [&](const std::vector<std::uint32_t>& choices) {
      long double value = 0.0L;
      std::uint64_t bytes = 0;
      for (std::size_t row = 0; row < problem.rows; ++row) {
        const std::size_t at = problem.at(row, choices[row]);
        value += static_cast<long double>(problem.costs[at]) +
                 static_cast<long double>(problem.price) * static_cast<long double>(problem.bytes[at]);
        bytes += problem.bytes[at];
      }
      const std::uint64_t over = bytes > *problem.budget ? bytes - *problem.budget : 0;
      return std::pair(value + static_cast<long double>(price) * static_cast<long double>(over), bytes);
    };
    std::vector<std::uint32_t> choices = walk.smallest();
    for (std::uint64_t step = 0; step < 50; ++step) {
      const auto [before, bytes_before] = energy(choices);
      const Proposal proposal = draw_proposal(walk.problem(), choices.data(), move_words(6, 0, step));
      const ProposalDelta delta = score_proposal(walk.table(), proposal, bytes_before, price);
      EXPECT_EQ(proposal.own, choices[proposal.row]);
      EXPECT_TRUE(problem.available(proposal.row, proposal.column));
      choices[proposal.row] = proposal.column;
      const auto [after, bytes_after] = energy(choices);
      const double scale = std::max(1.0, static_cast<double>(before + after));
      EXPECT_NEAR(delta.energy, static_cast<double>(after - before), 1e-14 * scale);
      EXPECT_EQ(delta.bytes, bytes_after);
    }
  }
}

// Chains and the threads that step them.
struct ChainsRun {
  ChainsRun(const Walk& walk, std::size_t count, std::uint64_t seed, std::uint32_t most_rejections,
            int thread_count = 1)
      : threads(options(thread_count)),
        runner(threads),
        chains(walk, count, seed, most_rejections, threads, runner) {}

  static SearchOptions options(int thread_count) {
    SearchOptions options;
    options.threads = thread_count;
    return options;
  }

  Threads threads;
  ThreadRunner runner;
  Chains chains;
};

TEST(SearchChains, GoTheSameWayInAnyGroup) {
  const SearchProblem problem = model_problem(30, 20, std::nullopt, 7);
  const Walk walk(problem);
  ChainsRun together(walk, 11, 11, 0, 3);
  together.chains.run({1e-2, 0.0, 1500}, 0, nullptr);
  std::uint64_t evaluations = 0;
  std::set<double> values;
  for (std::size_t count = 1; count <= 11; ++count) {
    ChainsRun fewer(walk, count, 11, 0);  // whose last chain is alone, or in a group of two, ...
    fewer.chains.run({1e-2, 0.0, 1000}, 0, nullptr);
    fewer.chains.run({1e-2, 0.0, 500}, 1000, nullptr);
    for (std::size_t chain = 0; chain < count; ++chain) {
      EXPECT_EQ(fewer.chains.best(chain), together.chains.best(chain));
      EXPECT_EQ(fewer.chains.best_value(chain), together.chains.best_value(chain));
    }
    evaluations = fewer.chains.evaluations();
    EXPECT_EQ(evaluations, count * 1500);
    values.insert(fewer.chains.best_value(count - 1));
  }
  EXPECT_EQ(evaluations, together.chains.evaluations());
  EXPECT_EQ(values.size(), 11u) << "chains that all end alike would show nothing";
}

TEST(SearchChains, KeepTheBestTheyHaveSeen) {
  // At a temperature where a chain wanders off again, its best is not its last.
  const SearchProblem problem = model_problem(8, 10, 0.5, 8);
  const Walk walk(problem);
  ChainsRun run(walk, 3, 1, 0);
  std::vector<double> before(3, std::numeric_limits<double>::infinity());
  for (std::uint64_t step = 0; step < 4000; step += 100) {
    run.chains.run({1e6, 0.0, 100}, step, nullptr);
    for (std::size_t chain = 0; chain < 3; ++chain) {
      EXPECT_LE(run.chains.best_value(chain), before[chain]);
      before[chain] = run.chains.best_value(chain);
      const std::vector<std::uint32_t> best = run.chains.best(chain);
      std::vector<std::size_t> choice(best.begin(), best.end());
      EXPECT_LE(bytes_of(problem, choice), *problem.budget);
      EXPECT_NEAR(static_cast<double>(value_of(problem, choice)), before[chain], 1e-12 * before[chain]);
    }
  }
}

TEST(SearchChains, StandStillAfterSoManyRejectionsInARow) {
  // From the better of these two, at temperature 0, one draw in three is rejected: five in a row take
  // (1 - p^5) / (p^5 (1 - p)) = 363 draws on average, five in all would take 15.
  SearchProblem problem = one_row({{4, 1}, {4, 2}});
  problem.costs = {1.0, 2.0};
  const Walk walk(problem);
  ChainsRun run(walk, 100, 2, 5);
  run.chains.run({0.0, 0.0, 100'000}, 0, nullptr);
  EXPECT_GT(run.chains.evaluations(), 100u * 250u);
  EXPECT_LT(run.chains.evaluations(), 100u * 500u);
}

// A runner that steps a chain after the other in the plainest way, and copies each best one at once.
class PlainRunner : public ChainRunner {
 public:
  int starts = 0;
  std::size_t chains = 0, written = 0, read = 0;

  void start(const AnnealingProblem& problem, std::span<const ChainState> states,
             std::span<const std::uint32_t> choices, std::span<const std::uint32_t> best) override {
    ++starts;
    problem_ = problem;
    chains = states.size();
    states_.assign(states.begin(), states.end());
    for (std::size_t chain = 0; chain < chains; ++chain) {
      const auto part = [&](std::span<const std::uint32_t> all) {
        const auto own = all.subspan(chain * problem.rows, problem.rows);
        return std::vector<std::uint32_t>(own.begin(), own.end());
      };
      choices_.push_back(part(choices));
      best_.push_back(part(best));
    }
  }
  void run(const AnnealingLevel& level, std::uint64_t first_step, const std::atomic<bool>*,
           std::span<ChainState> states) override {
    for (std::uint32_t chain = 0; chain < chains; ++chain) {
      ChainState& state = states_[chain];
      std::vector<std::uint32_t>& choices = choices_[chain];
      for (std::uint64_t step = first_step; step < first_step + level.steps; ++step) {
        if (problem_.most_rejections > 0 && state.rejections >= problem_.most_rejections) break;
        const PhiloxWords words = move_words(problem_.seed, chain, step);
        const Proposal proposal = draw_proposal(problem_, choices.data(), words);
        const ProposalDelta delta = score_proposal(problem_.table, proposal, state.bytes, level.over_price);
        ++state.steps;
        ++state.rejections;
        if (!accepts(delta.energy, level.temperature, draw_unit(words.word[3]))) continue;
        state.rejections = 0;
        if (proposal.column == proposal.own) continue;
        choices[proposal.row] = proposal.column;
        state.value += delta.value;
        state.bytes = delta.bytes;
        if (!keep(chain)) sum_up_best(chain);
      }
      sum_up_best(chain);
      state.value = assignment_value(problem_.table, problem_.rows, choices.data());
      state.bytes = assignment_bytes(problem_.table, problem_.rows, choices.data());
      keep(chain);
      sum_up_best(chain);
      states[chain] = state;
    }
  }
  void read_choices(std::size_t chain, std::span<std::uint32_t> choices) override {
    ++read;
    std::copy(choices_[chain].begin(), choices_[chain].end(), choices.begin());
  }
  void read_best(std::size_t chain, std::span<std::uint32_t> best) override {
    std::copy(best_[chain].begin(), best_[chain].end(), best.begin());
  }
  void write_best(std::size_t chain, double value, std::span<const std::uint32_t> best) override {
    ++written;
    EXPECT_LT(value, states_[chain].best_value);
    states_[chain].best_value = value;
    best_[chain].assign(best.begin(), best.end());
  }

 private:
  bool keep(std::size_t chain) {
    ChainState& state = states_[chain];
    if (state.bytes > problem_.table.budget || state.value >= state.best_value) return false;
    state.best_value = state.value;
    best_[chain] = choices_[chain];
    return true;
  }
  void sum_up_best(std::size_t chain) {
    states_[chain].best_value = assignment_value(problem_.table, problem_.rows, best_[chain].data());
  }

  AnnealingProblem problem_;
  std::vector<ChainState> states_;
  std::vector<std::vector<std::uint32_t>> choices_, best_;
};

void expect_same(const SearchResult& a, const SearchResult& b) {
  EXPECT_EQ(a.choice, b.choice);
  EXPECT_EQ(a.cost, b.cost);
  EXPECT_EQ(a.bytes, b.bytes);
  EXPECT_EQ(a.evaluations, b.evaluations);
  ASSERT_EQ(a.trace.size(), b.trace.size());
  for (std::size_t i = 0; i < a.trace.size(); ++i) {
    EXPECT_EQ(a.trace[i].evaluations, b.trace[i].evaluations);
    EXPECT_EQ(a.trace[i].cost, b.trace[i].cost);
  }
}

TEST(SearchAnneal, AResultDoesNotShowWhereItsChainsRan) {
  for (const std::uint32_t chains : {0u, 1u, 7u, 40u})
    for (const bool original : {false, true})
      for (const std::optional<double> budget : {std::optional<double>(), std::optional(0.3)}) {
        const SearchProblem problem = model_problem(12, 21, budget, chains);
        SearchOptions options;
        options.method = Method::anneal;
        options.evaluations = 60'000;
        options.chains = chains;
        options.original_schedule = original;
        options.seed = chains;
        options.threads = 1;
        const SearchResult one = search(problem, options);
        options.threads = 3;
        expect_same(search(problem, options), one);
        PlainRunner runner;
        options.runner = &runner;
        expect_same(search(problem, options), one);
        EXPECT_EQ(runner.starts, 1);
        EXPECT_EQ(runner.chains, chains == 0 ? 16 : chains);
        EXPECT_EQ(runner.read > 0, budget.has_value());
        if (!original) {
          EXPECT_EQ(runner.written > 0, budget.has_value());
        }
        // At most 16 repairs a level.
        EXPECT_LE(runner.read, 60u * 16u);
      }
}

// Where costs are equal and budgets are met exactly: which of several best assignments is kept, too.
TEST(SearchAnneal, NorWhichOfEqualAssignmentsIsFoundFirst) {
  Random random(17);
  for (int repeat = 0; repeat < 300; ++repeat) {
    SCOPED_TRACE(repeat);
    SearchProblem problem = small_problem(random, static_cast<Costs>(repeat % 6));
    if (repeat % 3 != 0) problem.budget = optimum_of(problem).least_bytes + random_below(random, 30);
    SearchOptions options;
    options.method = Method::anneal;
    options.seed = random();
    options.threads = 1;
    options.chains = static_cast<std::uint32_t>(1 + random_below(random, 6));
    options.evaluations = 400;
    options.original_schedule = repeat % 4 == 0;
    const SearchResult one = search(problem, options);
    PlainRunner runner;
    options.runner = &runner;
    expect_same(search(problem, options), one);
  }
}

// A PlainRunner that says which assignments were asked for since its last level.
class WatchedRunner : public PlainRunner {
 public:
  std::set<std::size_t> asked;
  std::vector<ChainState> after;

  void run(const AnnealingLevel& level, std::uint64_t first_step, const std::atomic<bool>* stop,
           std::span<ChainState> states) override {
    PlainRunner::run(level, first_step, stop, states);
    after.assign(states.begin(), states.end());
    asked.clear();
  }
  void read_choices(std::size_t chain, std::span<std::uint32_t> choices) override {
    EXPECT_TRUE(asked.insert(chain).second);
    PlainRunner::read_choices(chain, choices);
  }
};

TEST(SearchChains, RepairTheSixteenOfTheLeastEnergy) {
  const SearchProblem problem = model_problem(20, 14, 0.3, 9);
  const Walk walk(problem);
  Threads threads(ChainsRun::options(2));
  for (const std::size_t count : {10, 60}) {
    WatchedRunner runner;
    Chains chains(walk, count, 1, 0, threads, runner);
    bool fewer = false, more = false;
    for (const double over_price : {1e-12, 1e-4, 1e3})
      for (std::uint64_t step = 0; step < 500; step += 100) {
        chains.run({1e-3, over_price, 100}, step, nullptr);
        std::vector<std::pair<long double, std::size_t>> over;
        for (std::size_t chain = 0; chain < count; ++chain)
          if (const ChainState& state = runner.after[chain]; state.bytes > *problem.budget)
            over.emplace_back(static_cast<long double>(state.value) +
                                  static_cast<long double>(over_price) *
                                      static_cast<long double>(state.bytes - *problem.budget),
                              chain);
        (over.size() > 16 ? more : fewer) = true;
        std::sort(over.begin(), over.end());
        over.resize(std::min<std::size_t>(over.size(), 16));
        std::set<std::size_t> expected;
        for (const auto& [energy, chain] : over) expected.insert(chain);
        EXPECT_EQ(runner.asked, expected);
      }
    EXPECT_EQ(more, count > 16);
    EXPECT_TRUE(fewer);
  }
}

TEST(SearchAnneal, MoreChainsMakeAsManyMovesEach) {
  const SearchProblem problem = model_problem(1, 5, std::nullopt, 1);
  const auto evaluations = [&](std::uint32_t chains) {
    SearchOptions options;
    options.method = Method::anneal;
    options.chains = chains;
    return search(problem, options).evaluations;
  };
  const std::uint64_t each = evaluations(0) / 16;
  EXPECT_EQ(evaluations(16), 16 * each);
  EXPECT_EQ(evaluations(1), 16 * each);
  EXPECT_EQ(evaluations(48), 48 * each);
}

// --- The whole -------------------------------------------------------------------------------------------

TEST(SearchAnneal, ComesNearTheOptimum) {
  for (const std::uint64_t seed : {1, 2})
    for (const double budget : {0.1, 0.5}) {
      const SearchProblem problem = model_problem(224, 7, budget, seed);
      const SearchResult exact = search(problem, {});
      SearchOptions options;
      options.method = Method::anneal;
      options.evaluations = 2'000'000;
      const SearchResult result = search(problem, options);
      EXPECT_LE(result.cost, 1.01 * exact.cost);
      EXPECT_GE(result.cost, exact.bound * (1.0 - 1e-12));
      EXPECT_LE(result.bytes, *problem.budget);
      EXPECT_NEAR(result.gap, (result.cost - result.bound) / result.bound, 1e-12);
    }
}

TEST(SearchAnneal, FindsTheLeastOfRowsWithoutABudget) {
  const SearchProblem problem = model_problem(40, 33, std::nullopt, 3);
  SearchOptions options;
  options.method = Method::anneal;
  const SearchResult result = search(problem, options);
  EXPECT_LT(result.gap, 1e-3);
  // One row, whose temperatures suit it: the least itself, proven.
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const SearchProblem row = model_problem(1, 33, std::nullopt, seed);
    options.seed = seed;
    const SearchResult found = search(row, options);
    EXPECT_EQ(found.choice, search(row, {}).choice);
    EXPECT_EQ(found.gap, 0.0);
  }
}

TEST(SearchAnneal, TheOriginalScheduleIsShort) {
  SearchProblem problem = one_row(triangle(3, 8));
  for (std::size_t column = 0; column < problem.columns.size(); ++column)
    problem.costs[column] = std::pow(2.0, std::fabs(static_cast<double>(column) - 17.0));
  SearchOptions options;
  options.method = Method::anneal;
  options.original_schedule = true;
  const SearchResult result = search(problem, options);
  // 100 * 0.8^k >= 1 for k = 0..20: so many moves of each of 16 chains at most.
  EXPECT_LE(result.evaluations, 16u * 21u);
  EXPECT_GE(result.evaluations, 16u * 5u);
  EXPECT_LE(result.cost, 2.0);
  options.evaluations = 21;
  EXPECT_LE(search(problem, options).evaluations, 21u);
}

}  // namespace
}  // namespace afp
