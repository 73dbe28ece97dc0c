#!/usr/bin/env bash
# Runs scripts/digits_line.sh and holds its table to what the network and its encodings are known to give.
#
#     tests/digits_line_test.sh AFP DIGITS_EVAL FOLDER
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
output=$("$root/scripts/digits_line.sh" "$@" | tee /dev/stderr)

# The least SQNR: what the default Encodings reach on normally distributed weights, less a decibel for the network's
# own distribution. A bit is worth about 6 dB; accuracy may move by a few of the 450 images.
printf '%s\n' "$output" | awk '
  function expect(holds, what) {
    if (!holds) { print "digits_line_test: bits " $1 ": " what; failed = 1 }
  }
  BEGIN { least_sqnr[3] = 14.7; least_sqnr[4] = 21.55; least_sqnr[6] = 33.85
          least_accuracy[3] = 94; least_accuracy[4] = 97; least_accuracy[6] = 98 }
  $1 == "fp32" && NF == 6 {
    ++rows
    expect($4 == 98.67, "accuracy " $4 " %, expected 98.67")
    expect($6 == 0, "output KL " $6 " to itself, expected 0")
  }
  $1 ~ /^[346]$/ && NF == 6 {
    ++rows
    expect($2 >= $1 + 0.5 && $2 < $1 + 0.7, "bpw " $2 ", expected a scale byte for 16 weights and some padding")
    expect($3 >= least_sqnr[$1], "SQNR " $3 " dB, expected at least " least_sqnr[$1])
    expect($4 >= least_accuracy[$1], "accuracy " $4 " %, expected at least " least_accuracy[$1])
    expect(rows == 2 || $6 < kl, "output KL " $6 ", expected less than at fewer bits")
    kl = $6
  }
  END {
    if (rows != 4) { print "digits_line_test: " rows " rows in the table, expected 4"; failed = 1 }
    exit failed
  }'
