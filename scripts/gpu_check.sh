#!/usr/bin/env bash
# Proves the CUDA backend on a GPU: the same results as the CPU, no error that compute-sanitizer sees, and speed.
set -euo pipefail
# shellcheck source=scripts/lib/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/setup.sh"

usage() {
  cat <<'TEXT'
Usage: scripts/gpu_check.sh [OPTION...] [PART...]

Checks the CUDA backend on the GPU of this machine and writes what came out to
bench/results/DATE-DEVICE.md and .json. Exits with 1 where anything failed.

Parts, all by default; each takes less than 8 minutes
  contract    every result of the backend contract, byte for byte, on the device
  sanitize    compute-sanitizer (memcheck, racecheck, initcheck, synccheck) over
              small work of every kind
  bench       every CUDA benchmark, beside copying and reading memory in the same
              run
  checkpoint  afp quantize and afp search of a synthetic checkpoint with both
              back ends: the same bytes, and the time each takes

Options
  --build DIR   use the programs there, built elsewhere perhaps, instead of
                building them in build/gpu
  --size SIZE   of the synthetic checkpoint (default 2GB)
  --device I    which GPU (default 0)
  --results DIR where to write (default bench/results)
  --yes         install missing Debian packages without asking
  -h, --help    this text
TEXT
}

all_parts=(contract sanitize bench checkpoint)
parts=() given_build='' size=2GB device=0 results=$root/bench/results
while (($# > 0)); do
  case $1 in
    --build) given_build=${2:?--build needs a folder} && shift ;;
    --size) size=${2:?--size needs a size} && shift ;;
    --results) results=${2:?--results needs a folder} && shift ;;
    --device) device=${2:?--device needs a number} && shift ;;
    --yes) assume_yes=yes ;;
    -h | --help) usage && exit ;;
    contract | sanitize | bench | checkpoint) parts+=("$1") ;;
    *) fail "unknown argument $1; see scripts/gpu_check.sh --help" ;;
  esac
  shift
done
((${#parts[@]} > 0)) || parts=("${all_parts[@]}")
export CUDA_VISIBLE_DEVICES=$device

if [[ -n $given_build ]]; then
  build=$(cd "$given_build" && pwd)
else
  build=$root/build/gpu
  install_missing
  say "building in build/gpu"
  (cd "$root" && cmake --preset release -B build/gpu --log-level=NOTICE -DAFP_CUDA=ON && cmake --build build/gpu -j "$jobs")
fi
afp=$build/afp
[[ -x $afp ]] || fail "$afp: not built"

name=$(nvidia-smi --id="$device" --query-gpu=name --format=csv,noheader 2>/dev/null) || fail "nvidia-smi finds no GPU $device"
driver=$(nvidia-smi --id="$device" --query-gpu=driver_version --format=csv,noheader)
slug=$(tr '[:upper:]' '[:lower:]' <<<"$name" | tr -cs 'a-z0-9' '-' | sed 's/^-*//; s/-*$//')
result=$results/$(date +%F)-$slug
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=()

# outcome PART STATUS: kept for the page, and for the exit status.
outcome() {
  local text=passed
  if (($2 != 0)); then text=failed && failed+=("$1"); fi
  say "$1: $text"
  echo "$text" >"$work/$1.outcome"
}

# The tests take the GPU wherever they find one; that they did is checked, too.
check_contract() {
  local status=0 test
  : >"$work/contract.txt"
  for test in backend_contract_test backend_statistics_test block_costs_test; do
    if ! "$build/tests/$test" --gtest_brief=1 >"$work/log" 2>&1; then status=1; fi
    tail -n 3 "$work/log" >>"$work/contract.txt"
    ((status == 0)) || tail -n 40 "$work/log"
  done
  if ! "$afp" quantize "$root/examples/digits/model" --dry-run --quiet --backend cuda >>"$work/contract.txt" 2>&1; then
    status=1
    tail -n 1 "$work/contract.txt"
  fi
  return $status
}

# Small work that together starts every kernel.
small_work() {
  local model=$root/examples/digits/model out=$work/small
  local -a run=("$@")
  rm -rf "$out" && mkdir "$out"
  local request
  local -a words
  for request in \
    "quantize --format E2M1/32/e8m0" "quantize --bits 3" "quantize --bits 5 --block 64 --scale e8m0" \
    "quantize --format E2M2/128/ue4m3 --effort fast" "quantize --format E2M1/row" "quantize --format E3M2/tensor" \
    "search --target-bpw 4.25" "search --candidates N=3..6,block=row" "search --sample 1/4 --target-bpw 4" \
    "search --uniform --objective kl --block tensor" "search --preset iccv2021" \
    "search --method anneal --target-bpw 4.25"; do
    read -ra words <<<"$request"
    "${run[@]}" "$afp" "${words[0]}" "$model" -o "$out/$RANDOM" --backend cuda --quiet "${words[@]:1}" || return 1
  done
  "$afp" quantize "$model" -o "$out/packed" --quiet || return 1
  "${run[@]}" "$afp" dequantize "$out/packed" -o "$out/plain" --backend cuda --quiet
}

check_sanitize() {
  command -v compute-sanitizer >/dev/null || { echo "compute-sanitizer is not installed" | tee "$work/sanitize.txt"; return 1; }
  local status=0 tool
  : >"$work/sanitize.txt"
  for tool in memcheck racecheck initcheck synccheck; do
    if small_work compute-sanitizer --tool "$tool" --error-exitcode 9 --log-file "$work/sanitize.%p.log" >"$work/log" 2>&1; then
      echo "$tool: no errors" >>"$work/sanitize.txt"
    else
      status=1
      { echo "$tool: errors" && cat "$work"/sanitize.*.log "$work/log" | head -n 60; } | tee -a "$work/sanitize.txt"
    fi
    rm -f "$work"/sanitize.*.log
  done
  return $status
}

check_bench() {
  local status=0 program
  : >"$work/bench.txt"
  run_bench() { # PROGRAM [OPTION...]
    "$@" --benchmark_out="$work/$(basename "$1").json" --benchmark_out_format=json >>"$work/bench.txt" 2>"$work/log" ||
      { status=1 && tail -n 20 "$work/log"; }
    # A case with a wrong result ends in an error of its own; the program goes on, and ends well.
    local errors
    errors=$(grep -s '"error_message"' "$work/$(basename "$1").json" | sort | uniq -c) && status=1 && echo "$errors"
    return 0
  }
  for program in "$build"/bench/cuda_*_bench; do run_bench "$program"; done
  if [[ -x $build/bench/solver_bench ]]; then run_bench "$build/bench/solver_bench" --benchmark_filter=device; fi # chains
  return $status
}

check_checkpoint() {
  local status=0 data=$work/checkpoint request
  "$build/bench/make_checkpoint" "$data" --size "$size" >/dev/null || return 1
  cat "$data"/*.safetensors >/dev/null # into the page cache
  { echo "| afp | cuda, s | cpu, s | the same bytes |" && echo "|---|---|---|---|"; } >"$work/checkpoint.txt"
  for request in "quantize --format E2M1/32/e8m0" "quantize" "quantize --bits 4 --block 32 --scale e8m0" \
    "quantize --format E3M2/row" "quantize --format E2M1/tensor" "search --target-bpw 4.25" \
    "search --target-bpw 4.25 --candidates N=3..6,block=tensor"; do
    local -a words seconds=()
    read -ra words <<<"$request"
    local backend same=yes
    for backend in cuda cpu; do
      rm -rf "${work:?}/$backend"
      seconds+=("$("$build/bench/run_measured" "$afp" "${words[0]}" "$data" -o "$work/$backend" --backend "$backend" --quiet \
        --memory-budget 4GB "${words[@]:1}" 2>>"$work/log" | awk '{ print $1 }')") || { same=failed && seconds+=(-); }
    done
    if [[ $same == yes ]] && ! diff -r "$work/cuda" "$work/cpu" >"$work/log" 2>&1; then same=NO; fi
    [[ $same == yes ]] || status=1
    echo "| \`$request\` | ${seconds[0]} | ${seconds[1]} | $same |" >>"$work/checkpoint.txt"
  done
  rm -rf "$data" "$work/cuda" "$work/cpu"
  return $status
}

for part in "${parts[@]}"; do
  say "$part"
  status=0
  "check_$part" || status=1
  outcome "$part" "$status"
done

commit=$(git -C "$root" rev-parse --short HEAD 2>/dev/null || echo unknown)
if [[ -n $(git -C "$root" status --porcelain 2>/dev/null) ]]; then commit+=' with local changes'; fi
version=$("$afp" --version | head -n 1)
{
  echo "# $(date +%F), $name"
  echo
  echo "- GPU: $name, driver $driver"
  echo "- program: $version"
  echo "- commit: $commit"
  echo "- command: scripts/gpu_check.sh ${parts[*]}"
  for part in "${parts[@]}"; do
    printf '\n## %s: %s\n\n' "$part" "$(cat "$work/$part.outcome")"
    if [[ $part == checkpoint ]]; then cat "$work/$part.txt"; else sed 's/^/    /' "$work/$part.txt"; fi
  done
} >"$result.md"
{
  printf '{"date": "%s", "device": "%s", "driver": "%s", "commit": "%s", "parts": {' "$(date +%F)" "$name" "$driver" "$commit"
  separator=
  for part in "${parts[@]}"; do printf '%s"%s": "%s"' "$separator" "$part" "$(cat "$work/$part.outcome")" && separator=', '; done
  printf '}, "benchmarks": ['
  separator=
  for file in "$work"/*_bench.json; do
    [[ -e $file ]] && printf '%s%s' "$separator" "$(cat "$file")" && separator=', '
  done
  printf ']}\n'
} >"$result.json"
say "written: ${result#"$root"/}.md and .json"
((${#failed[@]} == 0)) || fail "failed: ${failed[*]}"
