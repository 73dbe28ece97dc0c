// The exceptions the library throws. Every message is one line that says what was
// found and what was expected; the file and the tensor it concerns come along as data.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace afp {

// What a failure means to the caller; the command line turns it into its exit status.
enum class ErrorKind {
  failure,      // the machine failed: disk full, read error, out of memory   (exit 1)
  usage,        // the request makes no sense                                 (exit 2)
  bad_input,    // a file is not what it should be                            (exit 3)
  interrupted,  // stopped on request; the same request resumes               (exit 75)
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message, std::string file = {}, std::string tensor = {})
      : std::runtime_error(prefix(file, tensor) + message),
        kind_(kind),
        file_(std::move(file)),
        tensor_(std::move(tensor)) {}

  ErrorKind kind() const noexcept { return kind_; }
  const std::string& file() const noexcept { return file_; }      // empty where no file is concerned
  const std::string& tensor() const noexcept { return tensor_; }  // empty where no tensor is concerned

 private:
  static std::string prefix(const std::string& file, const std::string& tensor) {
    std::string text;
    if (!file.empty()) text += on_one_line(file) + ": ";
    if (!tensor.empty()) text += "tensor '" + on_one_line(tensor) + "': ";
    return text;
  }
  // Names come from files and may hold anything; a message stays one line.
  static std::string on_one_line(std::string name) {
    for (char& c : name)
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
    return name;
  }

  ErrorKind kind_;
  std::string file_;
  std::string tensor_;
};

class UsageError : public Error {
 public:
  explicit UsageError(const std::string& message) : Error(ErrorKind::usage, message) {}
};

class InputError : public Error {
 public:
  explicit InputError(const std::string& message, std::string file = {}, std::string tensor = {})
      : Error(ErrorKind::bad_input, message, std::move(file), std::move(tensor)) {}
};

// A system call failed; `message` should end with the system's own words (std::strerror).
class IoError : public Error {
 public:
  explicit IoError(const std::string& message, std::string file = {})
      : Error(ErrorKind::failure, message, std::move(file)) {}
};

// A device beside the CPU, or its driver, is missing or failed; `message` says which and in what.
class DeviceError : public Error {
 public:
  explicit DeviceError(const std::string& message) : Error(ErrorKind::failure, message) {}
};

class Interrupted : public Error {
 public:
  Interrupted() : Error(ErrorKind::interrupted, "interrupted") {}
};

}  // namespace afp
