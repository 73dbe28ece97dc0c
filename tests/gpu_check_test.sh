#!/usr/bin/env bash
# scripts/gpu_check.sh from end to end where there is no GPU: on the emulated device, with stand-ins for nvidia-smi,
# compute-sanitizer and the benchmarks of kernels. It must pass, and must fail when a part fails.
#
#   gpu_check_test.sh ROOT AFP TESTS BENCH FOLDER
set -euo pipefail
root=$1 afp=$2 tests=$3 bench=$4 folder=$5

rm -rf "$folder"
mkdir -p "$folder"/{bin,build/tests,build/bench,results}
stand_in() { # PATH TEXT
  printf '#!/usr/bin/env bash\n%s\n' "$2" >"$1"
  chmod +x "$1"
}
# shellcheck disable=SC2016  # for the stand-ins to expand
{
  stand_in "$folder/bin/nvidia-smi" 'case $* in *name*) echo "Emulated 1" ;; *) echo 999.99 ;; esac'
  stand_in "$folder/bin/compute-sanitizer" 'while [[ $1 == --* ]]; do shift 2; done; exec "$@"'
  stand_in "$folder/build/bench/cuda_kernels_bench" \
    'for a; do case $a in --benchmark_out=*) echo "{\"benchmarks\": []}" >"${a#*=}" ;; esac; done; echo none'
}
ln -s "$afp" "$folder/build/afp"
for name in backend_contract backend_statistics block_costs; do
  ln -s "$tests/${name}_emulated_test" "$folder/build/tests/${name}_test"
done
ln -s "$bench/make_checkpoint" "$bench/run_measured" "$folder/build/bench/"

check() {
  PATH=$folder/bin:$PATH "$root/scripts/gpu_check.sh" --build "$folder/build" --results "$folder/results" --size 3MB "$@"
}
fail() {
  echo "gpu_check_test: $1" >&2
  exit 1
}

check
page=$(echo "$folder"/results/*-emulated-1.md)
for part in contract sanitize bench checkpoint; do grep -q "^## $part: passed$" "$page" || fail "no word of $part in $page"; done
if grep -q '| NO |' "$page"; then fail "the back ends differ"; fi
cmake -DFILE="${page%.md}.json" -DKEYS='parts;contract' -P "$root/scripts/lib/json_value.cmake" 2>&1 | grep -qx passed ||
  fail "the JSON has no outcome"

stand_in "$folder/bin/compute-sanitizer" 'exit 9'
if check sanitize >"$folder/log" 2>&1; then fail "errors of compute-sanitizer went by"; fi
grep -q '^## sanitize: failed$' "$page" || fail "no word of the failure in $page"
grep -q 'gpu_check.sh: failed: sanitize' "$folder/log" || fail "the last line does not say what failed"
# shellcheck disable=SC2016
stand_in "$folder/build/bench/cuda_kernels_bench" \
  'for a; do case $a in --benchmark_out=*) echo "\"error_message\": \"codes differ\"" >"${a#*=}" ;; esac; done'
if check bench >"$folder/log" 2>&1; then fail "a benchmark's wrong result went by"; fi
grep -q 'codes differ' "$folder/log" || fail "no word of the wrong result"
rm -rf "$folder"
