// Which tensors are quantized before anything is searched: what their names, shapes and types say, then the
// rules.
#include <algorithm>
#include <array>

#include "afp/error.hpp"
#include "afp/plan.hpp"
#include "host/checkpoint/quote.hpp"
#include "host/core/name_pattern.hpp"

namespace afp {
namespace {

enum class Place {
  anywhere,  // any component of the name
  first,     // the first one: further in, the word means something else
  owner,     // the one before the parameter's own name
};

struct WellKnownName {
  std::string_view component;
  Place place;
};

// What embeddings are called in Hugging Face models (and in the original LLaMA, GPT-2, RWKV, T5, CLIP, BERT).
constexpr std::array kEmbeddings = {
    WellKnownName{"embed", Place::anywhere},
    WellKnownName{"embedding", Place::anywhere},
    WellKnownName{"embeddings", Place::anywhere},
    WellKnownName{"embed_tokens", Place::anywhere},
    WellKnownName{"embed_tokens_per_layer", Place::anywhere},
    WellKnownName{"embed_positions", Place::anywhere},
    WellKnownName{"embed_in", Place::anywhere},
    WellKnownName{"wte", Place::anywhere},
    WellKnownName{"wpe", Place::anywhere},
    WellKnownName{"tok_embeddings", Place::anywhere},
    WellKnownName{"word_embeddings", Place::anywhere},
    WellKnownName{"word_embedding", Place::anywhere},
    WellKnownName{"position_embeddings", Place::anywhere},
    WellKnownName{"position_embedding", Place::anywhere},
    WellKnownName{"token_type_embeddings", Place::anywhere},
    WellKnownName{"token_embedding", Place::anywhere},
    WellKnownName{"patch_embedding", Place::anywhere},
    WellKnownName{"pos_embed", Place::anywhere},
    WellKnownName{"relative_attention_bias", Place::anywhere},
    WellKnownName{"shared", Place::owner},
    WellKnownName{"emb", Place::owner},
};

// What output heads are called there.
constexpr std::array kHeads = {
    WellKnownName{"lm_head", Place::anywhere},
    WellKnownName{"embed_out", Place::anywhere},
    WellKnownName{"vocab_projector", Place::anywhere},
    WellKnownName{"qa_outputs", Place::anywhere},
    WellKnownName{"predictions", Place::owner},
    WellKnownName{"output", Place::first},
    WellKnownName{"proj_out", Place::first},
    WellKnownName{"head", Place::first},
    WellKnownName{"score", Place::first},
    WellKnownName{"classifier", Place::first},
    WellKnownName{"cls", Place::first},
};

std::vector<std::string_view> split_at_dots(std::string_view name) {
  std::vector<std::string_view> components;
  for (;;) {
    const std::size_t dot = name.find('.');
    components.push_back(name.substr(0, dot));
    if (dot == std::string_view::npos) return components;
    name.remove_prefix(dot + 1);
  }
}

template <std::size_t count>
bool is_one_of(const std::array<WellKnownName, count>& names,
               const std::vector<std::string_view>& components) {
  return std::any_of(names.begin(), names.end(), [&](const WellKnownName& known) {
    switch (known.place) {
      case Place::first:
        return components.front() == known.component;
      case Place::owner:
        return components.size() > 1 && components[components.size() - 2] == known.component;
      case Place::anywhere:
        break;
    }
    return std::find(components.begin(), components.end(), known.component) != components.end();
  });
}

// Why a tensor is kept where no rule says otherwise; empty when it is quantized.
std::string reason_to_keep(const TensorInfo& tensor) {
  if (tensor.elements() == 0) return "empty";
  if (!is_quantizable(tensor.dtype)) return "dtype " + std::string(dtype_name(tensor.dtype));
  if (tensor.shape.empty()) return "scalar";
  if (tensor.shape.size() == 1) return "1-D";
  const std::vector<std::string_view> components = split_at_dots(tensor.name);
  if (is_one_of(kEmbeddings, components)) return "embedding";
  if (is_one_of(kHeads, components)) return "output head";
  return {};
}

Selection selection_by(const Rule& rule, const TensorInfo& tensor, const EncodingRequest& request) {
  if (rule.action == Rule::Action::keep) return {std::nullopt, "rule " + to_string(rule)};
  if (!is_quantizable(tensor.dtype)) {
    throw UsageError("rule " + in_quotes(to_string(rule)) + " selects the tensor " + in_quotes(tensor.name) +
                     " of dtype " + std::string(dtype_name(tensor.dtype)) +
                     ", which cannot be quantized; expected BF16, F16, F32 or F64");
  }
  if (tensor.elements() == 0) return {std::nullopt, "empty"};
  EncodingRequest own = request;
  if (rule.action == Rule::Action::set) own.encoding = rule.encoding;
  return {std::move(own), {}};
}

[[noreturn]] void refuse_unmatched(const Rule& rule, const std::vector<TensorInfo>& tensors) {
  std::vector<std::string_view> names;
  for (const TensorInfo& tensor : tensors) names.push_back(tensor.name);
  const std::string nearest = nearest_name(rule.pattern, names);
  throw UsageError("rule " + in_quotes(to_string(rule)) + " matches no tensor" +
                   (nearest.empty() ? std::string() : "; the nearest name is " + in_quotes(nearest)));
}

// The last rule that matches each tensor; null where none does.
std::vector<const Rule*> last_matches(const std::vector<TensorInfo>& tensors,
                                      const std::vector<Rule>& rules) {
  std::vector<const Rule*> last(tensors.size(), nullptr);
  for (const Rule& rule : rules) {
    (void)to_string(rule);  // refuses a set without an Encoding
    const NamePattern pattern(rule.pattern);
    bool matched = false;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      if (!pattern.matches(tensors[i].name)) continue;
      matched = true;
      last[i] = &rule;
    }
    if (!matched) refuse_unmatched(rule, tensors);
  }
  return last;
}

}  // namespace

std::vector<Selection> select_tensors(const std::vector<TensorInfo>& tensors, const EncodingRequest& request,
                                      const std::vector<Rule>& rules) {
  const bool only = std::any_of(rules.begin(), rules.end(),
                                [](const Rule& rule) { return rule.action == Rule::Action::only; });
  const std::vector<const Rule*> last = last_matches(tensors, rules);
  std::vector<Selection> selections;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (last[i] != nullptr) {
      selections.push_back(selection_by(*last[i], tensors[i], request));
      continue;
    }
    std::string kept = reason_to_keep(tensors[i]);
    if (kept.empty() && only) kept = "not named by only";
    Selection& selection = selections.emplace_back();
    if (kept.empty()) {
      selection.request = request;
    } else {
      selection.kept = std::move(kept);
    }
  }
  return selections;
}

}  // namespace afp
