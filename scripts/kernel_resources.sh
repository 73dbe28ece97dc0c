#!/usr/bin/env bash
# What every CUDA kernel takes of a multiprocessor, as ptxas counts it; none may touch local memory.
set -euo pipefail
# shellcheck source=scripts/lib/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/setup.sh"

usage() {
  cat <<'TEXT'
Usage: scripts/kernel_resources.sh [OPTION...] [KERNEL-FILE...]

Compiles kernels/*.cu, or the files given, as the build does, and prints a
Markdown table: registers, static shared memory, stack frame and spills of every
kernel, by architecture. Exits with 1 where a kernel has a stack frame or spills;
those that CUB brings are listed apart and do not count. Needs nvcc, no GPU.

Options
  --arch LIST  architectures, separated by commas (default sm_80,sm_90a)
  --keep DIR   leave the device code there, a fatbin a file, as cuobjdump
               --dump-sass takes it
  -h, --help   this text

CUDACXX, CUDA_HOME or PATH say where nvcc is; CMAKE_BUILD_PARALLEL_LEVEL how many
files are compiled at a time.
TEXT
}

architectures=sm_80,sm_90a keep='' sources=()
while (($# > 0)); do
  case $1 in
    --arch) architectures=${2:?--arch needs a list} && shift ;;
    --keep) keep=${2:?--keep needs a folder} && shift ;;
    -h | --help) usage && exit ;;
    -*) fail "unknown option $1; see scripts/kernel_resources.sh --help" ;;
    *) sources+=("$(realpath -- "$1")") ;;
  esac
  shift
done
((${#sources[@]} > 0)) || sources=("$root"/kernels/*.cu)

find_nvcc() {
  local candidate
  for candidate in "${CUDACXX:-}" "${CUDA_HOME:+$CUDA_HOME/bin/nvcc}" "${CUDA_PATH:+$CUDA_PATH/bin/nvcc}" nvcc \
    /usr/local/cuda/bin/nvcc; do
    if [[ -n $candidate ]] && command -v "$candidate"; then return; fi
  done
  fail "no nvcc was found; CUDACXX says where it is"
}
nvcc=$(find_nvcc)
command -v c++filt >/dev/null || fail "c++filt is not installed (Debian: binutils)"

# The flags of cmake/AfpCuda.cmake, host/CMakeLists.txt and host/cuda/CMakeLists.txt in a release build.
flags=(-std=c++20 -O3 -DNDEBUG -fmad=false --expt-relaxed-constexpr -Xcompiler=-ffp-contract=off -Xcompiler=-fPIC
       -I "$root" -I "$root/include" -Xptxas -v)
IFS=, read -ra words <<<"$architectures"
for word in "${words[@]}"; do flags+=(-gencode "arch=compute_${word#sm_},code=$word"); done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [[ -n $keep ]]; then mkdir -p "$keep" && keep=$(cd "$keep" && pwd); fi

# One file's device code, and in its log what ptxas says; the words of a failure on standard error.
compile() {
  local name=${1##*/}
  "$nvcc" "${flags[@]}" -fatbin -o "${keep:-$work}/${name%.cu}.fatbin" "$1" >"$work/$name.log" 2>&1 ||
    { cat "$work/$name.log" >&2 && return 1; }
}
running=0
for source in "${sources[@]}"; do
  if ((running >= jobs)); then
    wait -n || fail "a kernel does not compile"
    running=$((running - 1))
  fi
  compile "$source" &
  running=$((running + 1))
done
while ((running > 0)); do
  wait -n || fail "a kernel does not compile"
  running=$((running - 1))
done

# The DTypes by their numbers, in which template arguments are named.
dtypes=$(awk '/^enum class DType/ { inside = 1; next } /^};/ { inside = 0 }
              inside && match($1, /^[A-Z0-9_]+/) { printf "%s ", substr($1, 1, RLENGTH) }' "$root/include/afp/tensor.hpp")

# Rows "KEY|row": KEY orders them, and its first letter tells CUB's (z) from our own (a).
for source in "${sources[@]}"; do
  name=${source##*/}
  c++filt <"$work/$name.log" | awk -v file="$name" -v dtypes="$dtypes" '
    BEGIN { split(dtypes, dtype_names, " ") }
    # "void afp::kernels::(anonymous namespace)::name<(afp::DType)13, 4>(parameters)" to "name<F16, 4>"
    function short(name,   number, end) {
      gsub(/\(anonymous namespace\)::/, "", name)
      if (name ~ /cub::/) {  # its arguments are pages
        sub(/<.*/, "", name); sub(/\(.*/, "", name)
        sub(/.*::/, "cub::", name)
        return name
      }
      while (match(name, /\(afp::DType\)[0-9]+/)) {
        number = substr(name, RSTART + 12, RLENGTH - 12)
        name = substr(name, 1, RSTART - 1) dtype_names[number + 1] substr(name, RSTART + RLENGTH)
      }
      gsub(/\([A-Za-z_:]+\)/, "", name)  # casts of other template arguments
      end = index(name, "(")
      if (end > 0) name = substr(name, 1, end - 1)
      sub(/^void /, "", name); gsub(/afp::kernels::/, "", name)
      return name
    }
    /Compiling entry function/ {
      match($0, /\047.*\047 for/); entry = short(substr($0, RSTART + 1, RLENGTH - 6))
      match($0, /for \047[^\047]*\047$/); arch = substr($0, RSTART + 5, RLENGTH - 6)
      stack = stores = loads = 0
    }
    /bytes stack frame/ {  # of the kernel, or of a function that was not inlined into it
      if ($1 > stack) stack = $1
      stores += $5; loads += $9
    }
    /Used [0-9]+ registers/ {
      shared = 0
      for (i = 2; i <= NF; ++i) if ($i ~ /^smem/) shared = $(i - 2)
      for (i = 1; i < NF; ++i) if ($i == "Used") registers = $(i + 1)
      printf "%s %s %s %s|| %s | `%s` | %s | %d | %d | %d | %d / %d |\n", entry ~ /^cub::/ ? "z" : "a", file, entry, arch,
             file, entry, arch, registers, shared, stack, stores, loads
    }'
done | LC_ALL=C sort -t'|' -k1,1 >"$work/rows"

table() {
  echo "| file | kernel | architecture | registers | static shared memory, bytes | stack frame, bytes | spill stores / loads, bytes |"
  echo "|---|---|---|---|---|---|---|"
  sed -n "s/^$1 [^|]*|//p" "$work/rows"
}
[[ -s $work/rows ]] || fail "ptxas told of no kernel"
version=$("$nvcc" --version | sed -n 's/.*release [^,]*, V//p')
echo "nvcc $version; dynamic shared memory comes on top where the launch asks for some."
if grep -q '^a ' "$work/rows"; then printf '\n' && table a; fi
if grep -q '^z ' "$work/rows"; then printf '\nBrought by CUB:\n\n' && table z; fi

spilling=$(awk -F'|' '/^a / && ($8 + 0 > 0 || $9 !~ /^ 0 \/ 0 $/) { print $4 "for" $5 }' "$work/rows")
if [[ -n $spilling ]]; then
  printf '%s\n' "$spilling" >&2
  fail "$(wc -l <<<"$spilling") kernels keep something in local memory"
fi
