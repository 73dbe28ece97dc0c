// Runs a piece of work in a child process that is killed at its n-th system call of those that change files,
// before that call takes effect: the way to see every state that a kill can leave on the disk.
#pragma once

#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>

namespace afp {

inline bool changes_files(const user_regs_struct& registers) {
  switch (static_cast<long>(registers.orig_rax)) {
    case SYS_openat:
      return (registers.rdx & (O_CREAT | O_TRUNC)) != 0;
    case SYS_open:
      return (registers.rsi & (O_CREAT | O_TRUNC)) != 0;
    case SYS_pwrite64:
    case SYS_write:
    case SYS_fallocate:
    case SYS_ftruncate:
    case SYS_rename:
    case SYS_renameat:
    case SYS_renameat2:
    case SYS_unlink:
    case SYS_unlinkat:
    case SYS_rmdir:
    case SYS_mkdir:
    case SYS_mkdirat:
      return true;
    default:
      return false;
  }
}

// True when the work came to its end before that many calls. One thread only; the work must not throw.
template <class Work>
bool finishes_before_call(int call, const Work& work) {
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("cannot fork");
  if (child == 0) {
    ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    ::raise(SIGSTOP);
    work();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ::ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
  bool entering = true;
  for (int seen = 0;;) {
    if (::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr) != 0)
      throw std::runtime_error("cannot trace a child process");
    ::waitpid(child, &status, 0);
    if (WIFEXITED(status)) {
      if (WEXITSTATUS(status) != 0) throw std::runtime_error("the child process failed");
      return true;
    }
    if (!WIFSTOPPED(status) || WSTOPSIG(status) != (SIGTRAP | 0x80))
      throw std::runtime_error("the child process crashed");
    if (entering) {
      user_regs_struct registers = {};
      ::ptrace(PTRACE_GETREGS, child, nullptr, &registers);
      if (changes_files(registers) && ++seen == call) {
        ::kill(child, SIGKILL);
        ::waitpid(child, &status, 0);
        return false;
      }
    }
    entering = !entering;
  }
}

}  // namespace afp
