# shellcheck shell=bash disable=SC2034
# Shared by the scripts beside this folder, which source it under `set -euo pipefail`: installs what the
# build needs, configures the release preset, builds. It says what it does and is quick when nothing is left to do.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$root/build/release
jobs=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}
assume_yes=${CI:+yes}

# Tools by what they are called as, libraries by their Debian package. README.md says what each is for.
tools=(g++:g++ cmake:cmake ninja:ninja-build pkg-config:pkg-config)
libraries=(libtbb-dev libhwy-dev libeigen3-dev librandom123-dev nlohmann-json3-dev libxxhash-dev libcli11-dev libfmt-dev
           libgtest-dev libbenchmark-dev)

say() { printf '== %s\n' "$*"; }

fail() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

missing_packages() {
  local entry
  for entry in "${tools[@]}"; do
    command -v "${entry%%:*}" >/dev/null || echo "${entry##*:}"
  done
  for entry in "${libraries[@]}"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$entry" 2>/dev/null || true) == installed* ]] || echo "$entry"
  done
}

# Asks before anything is installed, unless --yes was given or CI is set.
install_missing() {
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    say "no apt-get here: taking for granted that the libraries README.md lists are installed"
    return
  fi
  local packages=() as_root=() answer
  mapfile -t packages < <(missing_packages)
  if ((${#packages[@]} == 0)); then
    say "everything the build needs is installed"
    return
  fi
  if ((EUID != 0)); then
    command -v sudo >/dev/null || fail "as root, install: ${packages[*]}"
    as_root=(sudo)
  fi
  say "missing: ${packages[*]}"
  if [[ -z $assume_yes ]]; then
    [[ -t 0 ]] || fail "install these packages, or run this again with --yes"
    read -r -p "Install them with ${as_root[*]:+sudo }apt-get? [y/N] " answer
    [[ $answer == [yY]* ]] || fail "nothing was installed"
  fi
  "${as_root[@]}" apt-get -q update
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${packages[@]}"
}

# AFP_WARNINGS_AS_ERRORS in the environment decides for this build; ccache is used where it is found.
configure() {
  local options=()
  [[ -z ${AFP_WARNINGS_AS_ERRORS:-} ]] || options+=("-DAFP_WARNINGS_AS_ERRORS=$AFP_WARNINGS_AS_ERRORS")
  if command -v ccache >/dev/null; then
    export CMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER-ccache}
    export CMAKE_CUDA_COMPILER_LAUNCHER=${CMAKE_CUDA_COMPILER_LAUNCHER-ccache}
  fi
  say "configuring the $1 build in build/$1"
  (cd "$root" && cmake --preset "$1" --log-level=NOTICE "${options[@]}")
  say "CUDA backend: $(sed -n 's/^AFP_CUDA_STATE:INTERNAL=//p' "$root/build/$1/CMakeCache.txt")"
}

# build PRESET [TARGET...]: the targets, else everything.
build() {
  local preset=$1
  shift
  say "building ${*:-everything} ($jobs at a time)"
  (cd "$root" && cmake --build --preset "$preset" -j "$jobs" ${1+--target "$@"})
}
