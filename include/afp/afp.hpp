// The whole public interface.
#pragma once

#include "afp/backend.hpp"            // IWYU pragma: export
#include "afp/backend_choice.hpp"     // IWYU pragma: export
#include "afp/block_grid.hpp"         // IWYU pragma: export
#include "afp/block_sample.hpp"       // IWYU pragma: export
#include "afp/candidates.hpp"         // IWYU pragma: export
#include "afp/checkpoint.hpp"         // IWYU pragma: export
#include "afp/codec.hpp"              // IWYU pragma: export
#include "afp/cost_table.hpp"         // IWYU pragma: export
#include "afp/cumulative_counts.hpp"  // IWYU pragma: export
#include "afp/divergence.hpp"         // IWYU pragma: export
#include "afp/encoding.hpp"           // IWYU pragma: export
#include "afp/error.hpp"              // IWYU pragma: export
#include "afp/format.hpp"             // IWYU pragma: export
#include "afp/key_table.hpp"          // IWYU pragma: export
#include "afp/lane_sum.hpp"           // IWYU pragma: export
#include "afp/level_shares.hpp"       // IWYU pragma: export
#include "afp/linear_histogram.hpp"   // IWYU pragma: export
#include "afp/log2.hpp"               // IWYU pragma: export
#include "afp/model_search.hpp"       // IWYU pragma: export
#include "afp/objective.hpp"          // IWYU pragma: export
#include "afp/packed_checkpoint.hpp"  // IWYU pragma: export
#include "afp/packed_tensor.hpp"      // IWYU pragma: export
#include "afp/packing.hpp"            // IWYU pragma: export
#include "afp/plan.hpp"               // IWYU pragma: export
#include "afp/progress.hpp"           // IWYU pragma: export
#include "afp/quantize.hpp"           // IWYU pragma: export
#include "afp/scale.hpp"              // IWYU pragma: export
#include "afp/search.hpp"             // IWYU pragma: export
#include "afp/seed_search.hpp"        // IWYU pragma: export
#include "afp/size.hpp"               // IWYU pragma: export
#include "afp/statistics.hpp"         // IWYU pragma: export
#include "afp/tensor.hpp"             // IWYU pragma: export
#include "afp/tensor_costs.hpp"       // IWYU pragma: export
#include "afp/tensor_scale_scan.hpp"  // IWYU pragma: export
