#!/usr/bin/env bash
# Runs the benchmarks and writes bench/results/YYYY-MM-DD-<cpu>.md: the machine, the build, the commands,
# the tables. A file of the same name is replaced.
#
# Usage: bench/record.sh [BUILD_FOLDER] [--pipeline]     (default build/release; --pipeline adds pipeline.sh)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build/release
pipeline=no
for argument in "$@"; do
  case $argument in
    --pipeline) pipeline=yes ;;
    -*) echo "record.sh: unknown option $argument" >&2; exit 2 ;;
    *) build=$argument ;;
  esac
done
build=$(cd "$build" && pwd)

cpu=$(LC_ALL=C lscpu | sed -n 's/^Model name: *//p' | head -n 1)
slug=$(tr '[:upper:]' '[:lower:]' <<<"$cpu" | tr -cs 'a-z0-9' '-' | sed 's/^-*//; s/-*$//')
commit=$(git -C "$root" rev-parse --short HEAD 2>/dev/null || echo 'no commit')
if [[ -n $(git -C "$root" status --porcelain 2>/dev/null) ]]; then commit+=' with local changes'; fi
compiler=$(sed -n 's/^CMAKE_CXX_COMPILER:[A-Z]*=//p' "$build/CMakeCache.txt")
build_type=$(sed -n 's/^CMAKE_BUILD_TYPE:[A-Z]*=//p' "$build/CMakeCache.txt")

result=$root/bench/results/$(date +%F)-$slug.md
mkdir -p "$root/bench/results"
partial=$(mktemp "$result.XXXXXX")
trap 'rm -f "$partial"' EXIT

# section TITLE COMMAND: a heading on the page, and word of it on the terminal.
section() {
  echo "$1" >&2
  printf '\n## %s\n\n`%s`\n\n' "$1" "$2"
}

{
  echo "# $(date +%F), $cpu"
  echo
  echo "- CPU: $cpu, $(nproc) cores, L2 and L3: $(LC_ALL=C lscpu | awk -F': *' '/^L[23]/ { printf "%s%s", s, $2; s = ", " }')"
  echo "- memory: $(awk '/^MemTotal/ { printf "%.0f GB", $2 * 1024 / 1e9 }' /proc/meminfo)"
  echo "- compiler: $("$compiler" --version | head -n 1), $build_type"
  echo "- commit: $commit"
  for name in codec packing quantize dequantize statistics objective block_cost solver; do
    section "$name" "bench/${name}_bench"
    echo '```'
    "$build/bench/${name}_bench" 2>/dev/null
    echo '```'
  done
  section quality "bench/quality examples/digits/model${AFP_BENCH_RESNET20:+ resnet20.safetensors}"
  "$build/bench/quality" "$root/examples/digits/model" ${AFP_BENCH_RESNET20:+"$AFP_BENCH_RESNET20"}
  if [[ $pipeline == yes ]]; then
    section pipeline bench/pipeline.sh
    "$root/bench/pipeline.sh" "$build"
  fi
} >"$partial"
chmod 644 "$partial"
mv "$partial" "$result"
echo "$result"
