#!/usr/bin/env bash
# Times `afp quantize` and `afp search` of a synthetic 2 GB checkpoint against `cp` of the same file.
#
# A machine's speed changes from minute to minute, so every timed run has a cp of its own directly before
# it: cp, request A, cp, request B, ... for ROUNDS rounds. Before each run the outputs of the last one are
# removed and what is still on its way to the disk is waited for; the page cache keeps the input. Note that
# `afp quantize` returns once its output is on the disk, cp once it is in memory.
#
# Usage: bench/pipeline.sh [BUILD_FOLDER [REQUEST...]]      (default build/release, all requests below)
# Environment: AFP_BENCH_DIR (build/bench-data), AFP_BENCH_SIZE (2GB), AFP_BENCH_ROUNDS (5)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$(cd "${1:-$root/build/release}" && pwd)
data=${AFP_BENCH_DIR:-$root/build/bench-data}
size=${AFP_BENCH_SIZE:-2GB}
rounds=${AFP_BENCH_ROUNDS:-5}

requests=(
  "quantize --format E2M1/32/e8m0"
  "quantize --bits 4 --block 32 --scale e8m0"
  "quantize"
  "quantize --effort fast"
  "quantize --format E2M1/32/e8m0 --memory-budget 128MB"
  "quantize --memory-budget 128MB"
  "search --target-bpw 4.25 --candidates N=3..6,block=32,scale=e8m0"
  "search --target-bpw 4.25 --candidates N=3..6,block=32"
  "search --target-bpw 4.25 --candidates N=3..6,block=32 --sample 1/16"
  "search --target-bpw 4.25 --candidates N=2..8,block=tensor"
)
if (($# > 1)); then requests=("${@:2}"); fi

for program in afp bench/make_checkpoint bench/run_measured; do
  if [[ ! -x $build/$program ]]; then
    echo "pipeline.sh: $build/$program: not built" >&2
    exit 2
  fi
done
afp=$build/afp

mkdir -p "$data"
data=$(cd "$data" && pwd)
input=$data/checkpoint-$size
if [[ ! -e $input/config.json ]]; then "$build/bench/make_checkpoint" "$input" --size "$size" >&2; fi

scratch=$(mktemp -d "$data/run.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

# measured COMMAND...: "wall user system peak-MB" of a run whose output goes under $scratch/out.
measured() {
  rm -rf "$scratch/out"
  sync -f "$scratch"
  if ! "$build/bench/run_measured" "$@" 2>"$scratch/log"; then
    cat "$scratch/log" >&2
    return 1
  fi
}

cat "$input"/*.safetensors >/dev/null  # into the page cache
for ((round = 1; round <= rounds; ++round)); do
  for i in "${!requests[@]}"; do
    echo "round $round of $rounds: afp ${requests[i]}" >&2
    measured cp -r "$input" "$scratch/out" >>"$scratch/cp.$i"
    read -ra words <<<"${requests[i]}"
    measured "$afp" "${words[0]}" "$input" -o "$scratch/out" --quiet "${words[@]:1}" >>"$scratch/afp.$i"
  done
done

median() { sort -g | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int((NR + 2) / 2)]) / 2 }'; }
column() { awk -v c="$1" '{ print $c }' "$2"; }

echo "$("$afp" --version | head -n 1); $(du -cbL "$input"/*.safetensors | tail -n 1 | cut -f1) bytes, $rounds rounds"
echo
echo "| afp | median s | cp, median s | ratio of medians | median of ratios | CPU s | peak MB |"
echo "|---|---|---|---|---|---|---|"
for i in "${!requests[@]}"; do
  taken=$(column 1 "$scratch/afp.$i" | median)
  copy=$(column 1 "$scratch/cp.$i" | median)
  ratio=$(awk -v a="$taken" -v b="$copy" 'BEGIN { print a / b }')
  pairs=$(paste -d' ' "$scratch/afp.$i" "$scratch/cp.$i" | awk '{ print $1 / $5 }' | median)
  cpu=$(awk '{ print $2 + $3 }' "$scratch/afp.$i" | median)
  peak=$(column 4 "$scratch/afp.$i" | sort -g | tail -n 1)
  printf '| `%s` | %.2f | %.2f | %.2f | %.2f | %.2f | %.0f |\n' \
    "${requests[i]}" "$taken" "$copy" "$ratio" "$pairs" "$cpu" "$peak"
done
