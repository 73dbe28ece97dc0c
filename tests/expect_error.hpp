// Expects an error of the library by type and by its message, or a part of that.
#pragma once

#include <gtest/gtest.h>

#include <string>

namespace afp {

enum class Message { whole, part };

template <class ErrorType, class Call>
void expect_error(Call call, const std::string& message, Message which = Message::whole) {
  try {
    call();
    ADD_FAILURE() << "nothing was thrown; expected: " << message;
  } catch (const ErrorType& error) {
    const std::string found = error.what();
    if (which == Message::whole)
      EXPECT_EQ(found, message);
    else
      EXPECT_NE(found.find(message), std::string::npos) << found << "\n expected in it: " << message;
  } catch (const std::exception& error) {
    ADD_FAILURE() << "an error of another type: " << error.what() << "; expected: " << message;
  }
}

}  // namespace afp
