#!/usr/bin/env bash
# The whole line on the network of examples/digits: inspect it, then at each width quantize, verify, dequantize and
# evaluate; one table at the end. scripts/quickstart.sh shows it, a test checks it.
#
#     scripts/digits_line.sh AFP DIGITS_EVAL FOLDER     FOLDER is emptied first; paths are relative to the root
set -euo pipefail
export LC_ALL=C  # a point in numbers, printed and read

cd "$(dirname "${BASH_SOURCE[0]}")/.."
afp=$1 digits_eval=$2 folder=$3
model=examples/digits/model

show() { # the command as a user would type it
  printf '\n$ %s' "${1##*/}"
  printf ' %s' "${@:2}"
  printf '\n'
}

run() {
  show "$@"
  "$@"
}

run_json() { # JSON-FILE COMMAND...
  show "${@:2}" --json '>' "$1"
  "${@:2}" --json >"$1"
}

json_value() { # JSON-FILE KEY...
  local IFS=';'
  cmake "-DFILE=$1" "-DKEYS=${*:2}" -P scripts/lib/json_value.cmake 2>&1
}

add_row() { # BITS BPW SQNR EVALUATION
  local accuracy kl
  accuracy=$(json_value "$4" accuracy)
  kl=$(json_value "$4" mean_kl)
  table+=$(awk -v bits="$1" -v bpw="$2" -v sqnr="$3" -v accuracy="$accuracy" -v kl="$kl" 'BEGIN {
    if (sqnr != "-") sqnr = sprintf("%.2f", sqnr)
    printf "%-4s  %6.2f  %9s  %8.2f %%  %9.5f", bits, bpw, sqnr, 100 * accuracy, kl
  }')$'\n'
}

rm -rf "$folder"
mkdir -p "$folder"
table=$'bits     bpw  SQNR (dB)    accuracy  output KL\n'

run "$afp" inspect "$model"
run_json "$folder/fp32.json" "$digits_eval" "$model" "$model"
add_row fp32 32 - "$folder/fp32.json"

for bits in 3 4 6; do
  packed=$folder/$bits-bit
  run_json "$packed-quantize.json" "$afp" quantize "$model" -o "$packed" --bits "$bits" --quiet
  run "$afp" verify "$packed" --against "$model" --progress none
  run "$afp" dequantize "$packed" -o "$packed-plain" --quiet
  run_json "$packed-eval.json" "$digits_eval" "$packed-plain" "$model"
  bpw=$(json_value "$packed-quantize.json" total bpw)
  sqnr=$(json_value "$packed-quantize.json" total sqnr_db)
  add_row "$bits" "$bpw" "$sqnr" "$packed-eval.json"
done

printf '\n%s' "$table"
cat <<'TEXT'

bpw: bits per quantized weight, scales included. SQNR: of the quantized weights. accuracy: on 450 held-out images.
output KL: mean over these images of KL(fp32 || quantized), in nats.
TEXT
