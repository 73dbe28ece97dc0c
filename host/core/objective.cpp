// The mse objective from Statistics.
#include "afp/objective.hpp"

#include <string>

#include "afp/error.hpp"
#include "afp/key_table.hpp"
#include "afp/tensor_scale_scan.hpp"

namespace afp {
Objective parse_objective(std::string_view text) {
  for (const Objective objective : {Objective::mse, Objective::kl, Objective::kl_seed})
    if (text == to_string(objective)) return objective;
  throw UsageError("unknown objective '" + std::string(text) + "'; expected mse, kl or kl-seed");
}

std::string_view to_string(Objective objective) {
  switch (objective) {
    case Objective::mse:
      return "mse";
    case Objective::kl:
      return "kl";
    case Objective::kl_seed:
      break;
  }
  return "kl-seed";
}

double squared_error(const Statistics& statistics, Format format, float scale) {
  return key_errors(KeyTable(statistics), format, scale).total;
}

std::optional<TensorScale> choose_tensor_scale(const Statistics& statistics, const Encoding& encoding) {
  const KeyTable keys(statistics);
  if (keys.absmax != 0.0f && !keys_decide(keys.dtype, encoding.scale)) return std::nullopt;
  TensorScaleScan scan(tensor_block_codec(block_codec({encoding}), keys.absmax), keys.absmax);
  while (scan.left() > 0) scan.take(key_errors(keys, scan.format(), scan.value()));
  return scan.best();
}

}  // namespace afp
