// The importance of a tensor's columns, from what a file says of its input channels.
#pragma once

#include <vector>

#include "afp/model_search.hpp"

namespace afp {

// One number for every column of the tensor. Throws InputError where the importance lacks the tensor or has
// another length.
std::vector<float> column_importance(const Importance& importance, const TensorInfo& tensor);

}  // namespace afp
