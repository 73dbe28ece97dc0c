// search_model: the budget in bytes, the search, and the Plan that comes of it.
#include "afp/model_search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "afp/error.hpp"
#include "afp/log2.hpp"
#include "afp/packed_tensor.hpp"
#include "afp/seed_search.hpp"
#include "host/checkpoint/quote.hpp"
#include "host/core/decibel.hpp"
#include "host/core/model_problem.hpp"
#include "host/core/name_pattern.hpp"
#include "host/core/written_bytes.hpp"

namespace afp {
namespace {

// Plain decimals, rounded towards what still is possible.
std::string rounded(double value, int decimals, double (*round)(double)) {
  const double unit = std::pow(10.0, decimals);
  std::string text = std::to_string(round(value * unit) / unit);
  return text.substr(0, text.find('.') + 1 + static_cast<std::size_t>(decimals));
}

class ModelSearch {
 public:
  ModelSearch(const Checkpoint& input, const CostTable& table, const ModelSearchOptions& options)
      : input_(input), table_(table), options_(options), model_(build_problem(input, table, options)) {
    if (options.uniform) apply_penalty();
  }

  ModelSearchResult run() {
    const int targets =
        options_.target_bpw.has_value() + options_.target_size.has_value() + options_.target_sqnr.has_value();
    if (targets > 1) throw UsageError("more than one target; expected one of bpw, size and SQNR");
    if (model_.tensors.empty()) {
      finish_without_choice();
    } else if (options_.target_sqnr) {
      search_smallest();
    } else if (options_.target_size) {
      search_within_files();
    } else {
      if (options_.target_bpw) set_budget(bytes_at(*options_.target_bpw));
      result_.search = search(model_.problem, options_.solver);
      finish(result_.search.choice);
    }
    return std::move(result_);
  }

  ModelFront front(std::size_t most) const {
    ModelFront front;
    if (model_.tensors.empty()) return front;
    for (const FrontPoint& point : pareto_front(model_.problem, most)) {
      ModelFrontPoint& corner = front.mixed.emplace_back();
      corner.bytes = point.bytes;
      corner.bpw = bpw(point.bytes);
      corner.cost = point.cost;
      corner.squared_error = squared_error(model_.by_tensor(point.choice));
    }
    for (std::size_t c = 0; c < table_.candidates.size(); ++c)
      if (const std::optional<UniformPoint> point = uniform_point(c)) front.uniform.push_back(*point);
    return front;
  }

 private:
  double bpw(std::uint64_t bytes) const {
    return model_.weights == 0 ? 0.0 : 8.0 * static_cast<double>(bytes) / static_cast<double>(model_.weights);
  }
  std::uint64_t bytes_at(double target_bpw) const {
    if (!(target_bpw > 0.0 && target_bpw <= 64.0))
      throw UsageError("a target of " + std::to_string(target_bpw) + " bits a weight; expected 0 to 64");
    const double bytes = std::floor(target_bpw * static_cast<double>(model_.weights) / 8.0);
    if (const std::uint64_t least = bytes_of(model_.problem, smallest_choice(model_.problem));
        bytes < static_cast<double>(least))
      throw UsageError("a target of " + rounded(target_bpw, 4, std::floor) +
                       " bpw is below what the candidates allow; the least possible is " +
                       rounded(bpw(least), 4, std::ceil) + " bpw");
    return static_cast<std::uint64_t>(bytes);
  }

  // Of every row the column of fewest bytes.
  static std::vector<std::size_t> smallest_choice(const SearchProblem& problem) {
    std::vector<std::size_t> choice;
    for (std::size_t r = 0; r < problem.rows; ++r) {
      std::optional<std::size_t> best;
      for (std::size_t c = 0; c < problem.columns.size(); ++c)
        if (problem.available(r, c) &&
            (!best || problem.bytes[problem.at(r, c)] < problem.bytes[problem.at(r, *best)]))
          best = c;
      choice.push_back(*best);
    }
    return choice;
  }
  static std::uint64_t bytes_of(const SearchProblem& problem, const std::vector<std::size_t>& choice) {
    std::uint64_t bytes = 0;
    for (std::size_t r = 0; r < choice.size(); ++r) bytes += problem.bytes[problem.at(r, choice[r])];
    return bytes;
  }

  double penalty_of(std::size_t column) const {
    const Format format = table_.candidates[column].format;
    return penalty_factor(hardware_penalty(format.exponent_bits, format.mantissa_bits),
                          options_.penalty_exponent);
  }
  // Pinned tensors have no choice for it to weigh.
  void apply_penalty() {
    SearchProblem& problem = model_.problem;
    for (std::size_t r = 0; r < problem.rows; ++r) {
      if (model_.is_pinned(r)) continue;
      for (std::size_t c = 0; c < table_.candidates.size(); ++c)
        problem.costs[problem.at(r, c)] *= penalty_of(c);
    }
  }

  void set_budget(std::uint64_t bytes) {
    result_.budget = bytes;
    model_.problem.budget = bytes;
  }

  void finish_without_choice() {
    if (options_.target_bpw || options_.target_sqnr)
      throw UsageError(
          "no tensor is selected, and a target in bits a weight or decibels is of the selected ones");
    finish({});
    if (options_.target_size && result_.file_bytes > *options_.target_size) refuse_size();
  }

  [[noreturn]] void refuse_size() const {
    throw UsageError("a target of " + std::to_string(*options_.target_size) +
                     " bytes is below what the candidates allow; the weight files take at least " +
                     std::to_string(result_.file_bytes) + " bytes");
  }

  // The files also hold kept tensors and headers. What a tensor adds to a header counts with its data,
  // bounded as if all offsets were the longest; then the slack that this leaves is given back.
  void search_within_files() {
    const std::uint64_t target = *options_.target_size;
    SearchProblem problem = model_.problem;
    std::uint64_t largest_offset = 0;
    for (const CheckpointTensor& tensor : input_.tensors()) largest_offset += tensor.bytes();
    for (std::size_t r = 0; r < problem.rows; ++r) {
      for (std::size_t c = 0; c < problem.columns.size(); ++c) {
        std::uint64_t& bytes = problem.bytes[problem.at(r, c)];
        if (!problem.available(r, c)) continue;
        bytes = 0;
        for (const std::size_t t : model_.groups[r])
          bytes += most_written_bytes(*input_.find(model_.tensors[t]->tensor.name), encoding_of(c),
                                      largest_offset);
      }
    }
    const std::vector<std::size_t> smallest = smallest_choice(problem);
    const std::uint64_t least = bytes_of(problem, smallest);
    finish(smallest);
    if (result_.file_bytes > target) refuse_size();
    problem.budget = least + (target - result_.file_bytes);
    for (int attempt = 0; attempt < 3; ++attempt) {
      const SearchResult found = search(problem, options_.solver);
      finish(found.choice);
      if (result_.file_bytes > target) break;
      result_.search = found;
      result_.budget = *problem.budget;
      *problem.budget += target - result_.file_bytes;
    }
    if (result_.search.choice.empty()) {  // a choice as small as the smallest, but for digits in a header
      problem.budget = least;
      result_.search = search(problem, options_.solver);
      result_.search.choice = smallest;
    }
    finish(result_.search.choice);
    result_.search.bytes = result_.selected_bytes;
  }

  std::optional<Encoding> encoding_of(std::size_t column) const {
    return column == model_.keep_column ? std::nullopt : std::optional(table_.candidates[column]);
  }

  // The same problem with sizes and errors changed round: the fewest bytes whose error, in 2^-46 of what is
  // allowed and rounded up, fits.
  void search_smallest() {
    if (table_.objective != Objective::mse || table_.weighted)
      throw UsageError("a target SQNR needs the objective mse without an importance");
    constexpr std::uint64_t kUnits = std::uint64_t{1} << 46;
    if (!(*options_.target_sqnr > 0.0 && *options_.target_sqnr <= 1000.0))
      throw UsageError("a target of " + std::to_string(*options_.target_sqnr) + " dB; expected 0 to 1000");
    // What was printed of a choice can be asked for: a target is reached to within 1e-9 dB.
    constexpr double kTolerance = 1.0 + 1e-10;
    const double allowed =
        kTolerance * model_.signal / portable_exp2(*options_.target_sqnr / 10.0 * portable_log2(10.0));
    SearchProblem swapped = model_.problem;
    for (std::size_t r = 0; r < swapped.rows; ++r) {
      for (std::size_t c = 0; c < swapped.columns.size(); ++c) {
        if (!swapped.available(r, c)) continue;
        const std::size_t at = swapped.at(r, c);
        const double error = row_error(r, c);
        const double share = error == 0.0 ? 0.0 : std::ceil(error / allowed * static_cast<double>(kUnits));
        swapped.costs[at] = share <= static_cast<double>(kUnits) ? static_cast<double>(swapped.bytes[at])
                                                                 : SearchProblem::kUnavailable;
        swapped.bytes[at] = share <= static_cast<double>(kUnits) ? static_cast<std::uint64_t>(share) : 0;
      }
    }
    swapped.budget = kUnits;
    require_reachable(swapped);
    result_.search = search(swapped, options_.solver);
    result_.minimizes_size = true;
    finish(result_.search.choice);
    result_.search.bytes = result_.selected_bytes;
    result_.search.cost = result_.squared_error;
  }

  void require_reachable(const SearchProblem& swapped) const {
    double least = 0.0;
    std::uint64_t shares = 0;
    bool possible = true;
    for (std::size_t r = 0; r < swapped.rows; ++r) {
      double best = std::numeric_limits<double>::infinity();
      std::uint64_t best_share = std::numeric_limits<std::uint64_t>::max();
      for (std::size_t c = 0; c < swapped.columns.size(); ++c) {
        if (!model_.problem.available(r, c)) continue;
        best = std::min(best, row_error(r, c));
        if (swapped.available(r, c)) best_share = std::min(best_share, swapped.bytes[swapped.at(r, c)]);
      }
      least += best;
      possible = possible && best_share <= *swapped.budget;
      shares += possible ? best_share : 0;
    }
    if (possible && shares <= *swapped.budget) return;
    throw UsageError("a target of " + rounded(*options_.target_sqnr, 3, std::ceil) +
                     " dB is above what the candidates reach; the best possible is " +
                     rounded(decibel(model_.signal, least), 3, std::floor) + " dB");
  }

  // Squared error of a row's tensors under a column.
  double row_error(std::size_t row, std::size_t column) const {
    double error = 0.0;
    for (const std::size_t t : model_.groups[row]) error += model_.cost(t, column).squared_error;
    return error;
  }
  double squared_error(const std::vector<std::size_t>& columns) const {
    double error = 0.0;
    for (std::size_t t = 0; t < columns.size(); ++t) error += model_.cost(t, columns[t]).squared_error;
    return error;
  }

  void finish(const std::vector<std::size_t>& choice) {
    Plan& plan = result_.plan;
    plan = {};
    plan.objective = table_.objective;
    plan.weighted = table_.weighted;
    plan.effort = table_.effort;
    plan.sample = table_.sample;
    result_.groups.clear();
    for (const std::vector<std::size_t>& group : model_.groups)
      result_.groups.push_back(model_.tensors[group[0]]->tensor.name);
    result_.weights = model_.weights;
    result_.signal = model_.signal;
    result_.selected_bytes = result_.packed_bytes = 0;
    const std::vector<std::size_t> columns = model_.by_tensor(choice);
    std::size_t selected = 0;
    for (std::size_t i = 0; i < input_.tensors().size(); ++i) {
      const CheckpointTensor& tensor = input_.tensors()[i];
      PlanEntry& entry = plan.tensors.emplace_back();
      entry.name = tensor.name;
      entry.dtype = tensor.dtype;
      entry.shape = tensor.shape;
      entry.kept = model_.kept[i];
      entry.bytes = tensor.bytes();
      if (entry.kept.empty()) {
        const std::size_t t = selected++;
        entry.bytes = model_.bytes(table_, t, columns[t]);
        if (columns[t] == model_.keep_column) {
          entry.kept = "by the search";
        } else {
          entry.encoding = table_.candidates[columns[t]];
        }
        entry.cost = model_.cost(t, columns[t]).cost;
        entry.squared_error = model_.cost(t, columns[t]).squared_error;
        result_.selected_bytes += entry.bytes;
      }
      result_.packed_bytes += entry.bytes;
    }
    result_.squared_error = squared_error(columns);
    result_.candidates = model_.offered;
    if (options_.uniform) list_uniform(choice);
    result_.file_bytes = written_file_bytes(input_, plan);
  }

  // One candidate for all that no rule pins; nothing where a tensor lacks it, or where all are pinned.
  std::optional<UniformPoint> uniform_point(std::size_t column) const {
    UniformPoint point;
    point.encoding = table_.candidates[column];
    bool any = false;
    double free_cost = 0.0;
    for (std::size_t r = 0; r < model_.groups.size(); ++r) {
      const bool pinned = model_.is_pinned(r);
      if (!pinned && !model_.problem.available(r, column)) return std::nullopt;
      any = any || !pinned;
      for (const std::size_t t : model_.groups[r]) {
        const std::size_t taken = pinned ? *model_.pins[t] : column;
        const CandidateCost cost = model_.cost(t, taken);
        point.bytes += model_.bytes(table_, t, taken);
        point.cost += cost.cost;
        point.squared_error += cost.squared_error;
        if (!pinned) free_cost += cost.cost;
      }
    }
    if (!any) return std::nullopt;
    point.bpw = bpw(point.bytes);
    point.score = free_cost * penalty_of(column);
    return point;
  }

  void list_uniform(const std::vector<std::size_t>& choice) {
    result_.uniform.clear();
    result_.uniform_chosen.reset();
    for (std::size_t c = 0; c < table_.candidates.size(); ++c) {
      const std::optional<UniformPoint> point = uniform_point(c);
      if (!point) continue;
      for (std::size_t r = 0; r < choice.size(); ++r)
        if (!model_.is_pinned(r) && choice[r] == c) result_.uniform_chosen = result_.uniform.size();
      result_.uniform.push_back(*point);
    }
  }

  const Checkpoint& input_;
  const CostTable& table_;
  const ModelSearchOptions& options_;
  ModelProblem model_;
  ModelSearchResult result_;
};

}  // namespace

double ModelSearchResult::bpw() const {
  return weights == 0 ? 0.0 : 8.0 * static_cast<double>(selected_bytes) / static_cast<double>(weights);
}
double ModelSearchResult::sqnr_db() const {
  return decibel(signal, squared_error);
}

ModelSearchResult search_model(const Checkpoint& input, const CostTable& table,
                               const ModelSearchOptions& options) {
  return ModelSearch(input, table, options).run();
}

ModelFront model_front(const Checkpoint& input, const CostTable& table, const ModelSearchOptions& options,
                       std::size_t most) {
  return ModelSearch(input, table, options).front(most);
}

void check_plan(Plan& plan, const Checkpoint& input, const std::string& file) {
  std::vector<std::string_view> names;
  for (const CheckpointTensor& tensor : input.tensors()) names.push_back(tensor.name);
  for (const PlanEntry& entry : plan.tensors) {
    if (input.find(entry.name) != nullptr) continue;
    const std::string nearest = nearest_name(entry.name, names);
    throw InputError(
        "is in the plan, but not in the model" +
            (nearest.empty() ? std::string() : "; the nearest name there is " + in_quotes(nearest)),
        file, entry.name);
  }
  std::unordered_map<std::string_view, const PlanEntry*> by_name;
  for (const PlanEntry& entry : plan.tensors) by_name[entry.name] = &entry;
  Plan ordered = plan;
  ordered.tensors.clear();
  for (const CheckpointTensor& tensor : input.tensors()) {
    const auto found = by_name.find(tensor.name);
    if (found == by_name.end()) throw InputError("is in the model, but not in the plan", file, tensor.name);
    PlanEntry entry = *found->second;
    if ((entry.dtype && *entry.dtype != tensor.dtype) || (entry.shape && *entry.shape != tensor.shape))
      throw InputError("is " + std::string(dtype_name(tensor.dtype)) + " " + to_string(tensor.shape) +
                           " in the model; the plan was made for " +
                           std::string(dtype_name(entry.dtype.value_or(tensor.dtype))) + " " +
                           to_string(entry.shape.value_or(tensor.shape)),
                       file, entry.name);
    if (entry.encoding && (!is_quantizable(tensor.dtype) || tensor.elements() == 0))
      throw InputError("cannot be " + to_string(*entry.encoding) + ": it is " +
                           std::string(dtype_name(tensor.dtype)) + " " + to_string(tensor.shape),
                       file, entry.name);
    entry.dtype = tensor.dtype;
    entry.shape = tensor.shape;
    entry.bytes = entry.encoding ? packed_size(*entry.encoding, tensor.shape) : tensor.bytes();
    ordered.tensors.push_back(std::move(entry));
  }
  plan = std::move(ordered);
}

}  // namespace afp
