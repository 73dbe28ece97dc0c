// A step of a chain of annealing, defined once for whoever takes it: from the same numbers the chains go the
// same way on threads and on a device. Plain arrays, look-ups and + - * / alone. Host/device neutral.
//
// A chain walks through assignments, a column for every row. Its energy is
//
//     value + over_price * (bytes beyond the budget),   value = cost + price * bytes
#pragma once

#include <cstddef>
#include <cstdint>

#include "afp/hd.hpp"
#include "afp/log2.hpp"
#include "afp/philox.hpp"

namespace afp {

// [row][column]; of unavailable columns anything.
struct ProposalTable {
  const double* values = nullptr;
  const std::uint64_t* bytes = nullptr;
  std::size_t columns = 0;
  std::uint64_t budget = 0;  // the largest number where there is none
};

// A place in the plane of bits (N) and exponent bits (E), and the places that are drawn from it: first one of
// `bits_count` N' or `bridge_count` bridges, all alike, then one of the E' of that N', then a column there.
struct MovePlace {
  std::uint32_t first_column = 0, column_count = 0;  // of MoveGraph::columns
  std::uint32_t bits_count = 0;
  std::uint32_t first_bridge = 0, bridge_count = 0;  // of MoveGraph::bridges
  std::uint8_t exponent_count[4] = {};               // by N', of which there are at most three
  std::uint32_t target[9] = {};                      // [N'][E']: a place; kNoMove where there is none
};
constexpr std::uint32_t kNoMove = 0xFFFFFFFF;

// The neighbourhoods of all sets of available columns, one behind the other.
struct MoveGraph {
  const MovePlace* places = nullptr;
  const std::uint32_t* columns = nullptr;   // of the places
  const std::uint32_t* bridges = nullptr;   // of the places: places
  const std::uint32_t* place_of = nullptr;  // [neighbourhood][column]; kNoMove where not available
  std::size_t place_count = 0, column_count = 0, bridge_count = 0, place_of_count = 0;
};

// What the chains of a run share.
struct AnnealingProblem {
  ProposalTable table;
  MoveGraph moves;
  std::size_t rows = 0;
  const std::uint32_t* neighbourhood_of = nullptr;  // [row]
  const std::uint32_t* free_rows = nullptr;         // that have a choice at all
  std::uint32_t free_row_count = 0;                 // not 0
  std::uint64_t seed = 0;
  std::uint32_t most_rejections = 0;  // after so many one after another a chain stands still; 0: none does
};

// A stretch of the schedule.
struct AnnealingLevel {
  double temperature;
  double over_price;    // of a byte beyond the budget
  std::uint64_t steps;  // of every chain
};

// A chain, but for its assignment and the best one it has seen.
struct ChainState {
  double value = 0.0;            // of the assignment, as the steps of a level added it up
  std::uint64_t bytes = 0;       // of the assignment
  double best_value = 0.0;       // of the best assignment within the budget
  std::uint64_t steps = 0;       // taken; a chain that stands still takes none
  std::uint32_t rejections = 0;  // one after another
  std::uint32_t at_best = 0;     // 1: the assignment is the best one, which has no copy yet
};

// Another column for a row; its own column where the draw was no move.
struct Proposal {
  std::uint32_t row;
  std::uint32_t own;
  std::uint32_t column;
};

struct ProposalDelta {
  double energy;
  double value;
  std::uint64_t bytes;  // after the move
};

// The last word of the counter of the chains' moves, which sets them apart from other draws of a seed.
constexpr std::uint32_t kMoveStream = 2;

AFP_HD constexpr PhiloxWords move_words(std::uint64_t seed, std::uint32_t chain, std::uint64_t step) {
  return philox_words(
      {{static_cast<std::uint32_t>(step), static_cast<std::uint32_t>(step >> 32), chain, kMoveStream}},
      static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32));
}

// The column drawn by three words at a place; kNoMove where there is no move.
AFP_HD inline std::uint32_t draw_column(const MoveGraph& moves, std::uint32_t from, std::uint32_t bits_word,
                                        std::uint32_t exponent_word, std::uint32_t column_word) {
  const MovePlace& place = moves.places[from];
  const std::uint32_t drawn = draw_below(place.bits_count + place.bridge_count, bits_word);
  std::uint32_t target = kNoMove;
  if (drawn < place.bits_count)
    target = place.target[drawn * 3 + draw_below(place.exponent_count[drawn], exponent_word)];
  else if (place.bridge_count > 0)
    target = moves.bridges[place.first_bridge + drawn - place.bits_count];
  if (target == kNoMove) return kNoMove;
  return moves.columns[moves.places[target].first_column +
                       draw_below(moves.places[target].column_count, column_word)];
}

// A move drawn by the first three words from an assignment, evenly among the free rows.
AFP_HD inline Proposal draw_proposal(const AnnealingProblem& problem, const std::uint32_t* choices,
                                     const PhiloxWords& words) {
  const std::uint32_t row = problem.free_rows[draw_below(problem.free_row_count, words.word[0])];
  const std::uint32_t own = choices[row];
  const std::uint32_t place =
      problem.moves.place_of[problem.neighbourhood_of[row] * problem.table.columns + own];
  const std::uint32_t column =
      draw_column(problem.moves, place, words.word[1] << 16, words.word[1] & 0xFFFF0000, words.word[2]);
  return {row, own, column == kNoMove ? own : column};
}

AFP_HD constexpr double bytes_over(std::uint64_t bytes, std::uint64_t budget) {
  return bytes > budget ? static_cast<double>(bytes - budget) : 0.0;
}

// What a proposal changes in an assignment that takes `bytes`.
AFP_HD inline ProposalDelta score_proposal(const ProposalTable& table, const Proposal& proposal,
                                           std::uint64_t bytes, double over_price) {
  const std::size_t row = proposal.row * table.columns;
  const std::size_t from = row + proposal.own, to = row + proposal.column;
  const std::uint64_t after = bytes + table.bytes[to] - table.bytes[from];
  const double value = table.values[to] - table.values[from];
  const double over = bytes_over(after, table.budget) - bytes_over(bytes, table.budget);
  return {value + over_price * over, value, after};
}

// The rule by which annealing takes a move: always where it costs nothing or less, else with the odds that
// the temperature gives. `uniform` in (0, 1).
AFP_HD constexpr bool accepts(double delta, double temperature, double uniform) {
  return delta <= 0.0 || delta < -temperature * portable_log2(uniform);
}

AFP_HD inline void note_best(const AnnealingProblem& problem, ChainState& state) {
  if (state.bytes > problem.table.budget || !(state.value < state.best_value)) return;
  state.best_value = state.value;
  state.at_best = 1;
}

// Takes the move or rejects it, by the last word. keep_best(bool) is called once, always; where true, the
// chain is about to leave its best assignment, which is to be copied: late, since on a chain's way down each
// is the best for one step. It then clears at_best and sets best_value to the copy's assignment_value.
template <class KeepBest>
AFP_HD inline void decide(const AnnealingProblem& problem, const AnnealingLevel& level,
                          const Proposal& proposal, const ProposalDelta& delta, std::uint32_t word,
                          ChainState& state, std::uint32_t* choices, const KeepBest& keep_best) {
  const bool stands = problem.most_rejections > 0 && state.rejections >= problem.most_rejections;
  const bool accepted = !stands && accepts(delta.energy, level.temperature, draw_unit(word));
  const bool moves = accepted && proposal.column != proposal.own;
  const bool better = delta.value < 0.0 && delta.bytes <= problem.table.budget;
  keep_best(moves && state.at_best != 0 && !better);
  if (stands) return;
  ++state.steps;
  state.rejections = accepted ? 0 : state.rejections + 1;
  if (!moves) return;
  choices[proposal.row] = proposal.column;
  state.value += delta.value;
  state.bytes = delta.bytes;
  note_best(problem, state);
}

// A step of `count` chains, at most kMost, that one thread takes together: each stage of all of them before
// the next, so that their look-ups wait beside each other. choices_of(i) is the assignment of the i-th of
// them, which is chain first_chain + i of the run; keep_best_of(i) its keep_best.
template <std::size_t kMost, class ChoicesOf, class KeepBestOf>
AFP_HD inline void anneal_step(const AnnealingProblem& problem, const AnnealingLevel& level,
                               std::uint64_t step, std::uint32_t first_chain, std::size_t count,
                               ChainState* states, const ChoicesOf& choices_of,
                               const KeepBestOf& keep_best_of) {
  PhiloxWords words[kMost];
  Proposal proposals[kMost];
  ProposalDelta deltas[kMost];
  for (std::size_t i = 0; i < count; ++i) {
    words[i] = move_words(problem.seed, first_chain + static_cast<std::uint32_t>(i), step);
    proposals[i] = draw_proposal(problem, choices_of(i), words[i]);
  }
  for (std::size_t i = 0; i < count; ++i)
    deltas[i] = score_proposal(problem.table, proposals[i], states[i].bytes, level.over_price);
  for (std::size_t i = 0; i < count; ++i)
    decide(problem, level, proposals[i], deltas[i], words[i].word[3], states[i], choices_of(i),
           keep_best_of(i));
}

AFP_HD inline double assignment_value(const ProposalTable& table, std::size_t rows,
                                      const std::uint32_t* choices) {
  double sum = 0.0;
  for (std::size_t row = 0; row < rows; ++row) sum += table.values[row * table.columns + choices[row]];
  return sum;
}

AFP_HD inline std::uint64_t assignment_bytes(const ProposalTable& table, std::size_t rows,
                                             const std::uint32_t* choices) {
  std::uint64_t sum = 0;
  for (std::size_t row = 0; row < rows; ++row) sum += table.bytes[row * table.columns + choices[row]];
  return sum;
}

// At the end of a level: value and bytes afresh, without the rounding of many small changes, and the best
// assignment's copy.
template <class KeepBest>
AFP_HD inline void sum_up(const AnnealingProblem& problem, ChainState& state, const std::uint32_t* choices,
                          const KeepBest& keep_best) {
  state.value = assignment_value(problem.table, problem.rows, choices);
  state.bytes = assignment_bytes(problem.table, problem.rows, choices);
  note_best(problem, state);
  keep_best(state.at_best != 0);
}

}  // namespace afp
