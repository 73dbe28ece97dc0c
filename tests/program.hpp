// Runs a program as a user would and keeps what it printed; no shell is involved.
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "temp_folder.hpp"

extern char** environ;

namespace afp {

struct Finished {
  int exit_code = -1;  // -1 where a signal ended it
  int signal = 0;
  std::string out, err;
};

// A program that runs in `folder`.
class Program {
 public:
  // The streams go to these file descriptors.
  Program(const std::vector<std::string>& words, const std::filesystem::path& folder, int out, int err) {
    std::vector<char*> argv;
    for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
    posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
    const int error = ::posix_spawnp(&pid_, argv[0], &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) throw std::runtime_error("cannot run " + words[0] + ": " + std::strerror(error));
  }

  pid_t pid() const { return pid_; }

  // Whether it has ended; then `finished` has its status.
  bool ended(Finished& finished, bool wait = false) {
    int status = 0;
    pid_t done = 0;
    do done = ::waitpid(pid_, &status, wait ? 0 : WNOHANG);
    while (done < 0 && errno == EINTR);
    if (done == 0) return false;
    if (WIFEXITED(status)) finished.exit_code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) finished.signal = WTERMSIG(status);
    return true;
  }

 private:
  pid_t pid_ = 0;
};

inline Finished run_program(const std::vector<std::string>& words, const std::filesystem::path& folder) {
  const TempFolder streams;
  const auto create = [&](const char* name) {
    return ::open((streams / name).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  };
  const int out = create("out"), err = create("err");
  Finished finished;
  Program(words, folder, out, err).ended(finished, true);
  ::close(out);
  ::close(err);
  finished.out = read_bytes(streams / "out");
  finished.err = read_bytes(streams / "err");
  return finished;
}

}  // namespace afp
