// What a step of annealing costs, for many chains in one call, over plain arrays: a device can serve the same
// call, and with the same numbers the chains go the same way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "afp/hd.hpp"

namespace afp::search_detail {

// [row][column]; of unavailable columns anything.
struct ProposalTable {
  const double* values;
  const std::uint64_t* bytes;
  std::size_t columns;
  std::uint64_t budget;  // the largest number where there is none
};

// Of `count` chains. The choices of chain c start at c * rows.
struct ChainStates {
  std::uint32_t* choices;
  std::uint64_t* bytes;
  double* values;
  std::size_t rows;
  std::size_t count;
};

// Another column for a row of each chain; its own column where the draw was no move.
struct Proposal {
  std::uint32_t row;
  std::uint32_t column;
};

// Energy: value + over_price * (bytes beyond the budget).
struct ProposalDelta {
  double energy;
  double value;
  std::uint64_t bytes;  // after the move
};

AFP_HD inline double bytes_over(std::uint64_t bytes, std::uint64_t budget) {
  return bytes > budget ? static_cast<double>(bytes - budget) : 0.0;
}

AFP_HD inline ProposalDelta score_proposal(const ProposalTable& table, const ChainStates& states,
                                           std::size_t chain, const Proposal& proposal, double over_price) {
  const std::size_t row = proposal.row * table.columns;
  const std::size_t from = row + states.choices[chain * states.rows + proposal.row];
  const std::size_t to = row + proposal.column;
  const std::uint64_t before = states.bytes[chain];
  const std::uint64_t after = before + table.bytes[to] - table.bytes[from];
  const double value = table.values[to] - table.values[from];
  const double over = bytes_over(after, table.budget) - bytes_over(before, table.budget);
  return {value + over_price * over, value, after};
}

// One proposal a chain.
inline void score_proposals(const ProposalTable& table, const ChainStates& states,
                            std::span<const Proposal> proposals, double over_price,
                            std::span<ProposalDelta> deltas) {
  for (std::size_t chain = 0; chain < states.count; ++chain)
    deltas[chain] = score_proposal(table, states, chain, proposals[chain], over_price);
}

}  // namespace afp::search_detail
