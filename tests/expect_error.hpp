// Expects an error of the library by type and by its whole message.
#pragma once

#include <gtest/gtest.h>

#include <string>

namespace afp {

template <class ErrorType, class Call>
void expect_error(Call call, const std::string& message) {
  try {
    call();
    ADD_FAILURE() << "nothing was thrown; expected: " << message;
  } catch (const ErrorType& error) {
    EXPECT_EQ(error.what(), message);
  } catch (const std::exception& error) {
    ADD_FAILURE() << "an error of another type: " << error.what() << "; expected: " << message;
  }
}

}  // namespace afp
