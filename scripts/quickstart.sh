#!/usr/bin/env bash
# From a fresh clone to a quantized network: installs what is missing, builds `afp`, and runs the digits example.
set -euo pipefail
# shellcheck source=scripts/lib/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/setup.sh"

usage() {
  cat <<'TEXT'
Usage: scripts/quickstart.sh [--yes]

Builds afp, quantizes the network of examples/digits to 3, 4 and 6 bits, verifies,
restores and evaluates it, and prints one table. Debian packages that are missing
are named and, after a question, installed.

  --yes       install without asking (so does a CI variable in the environment)
  -h, --help  this text
TEXT
}

for argument in "$@"; do
  case $argument in
    --yes) assume_yes=yes ;;
    -h | --help) usage && exit ;;
    *) usage >&2 && exit 2 ;;
  esac
done

install_missing
configure release
build release afp_cli digits_eval
"$root/scripts/digits_line.sh" "$build/afp" "$build/examples/digits/digits_eval" build/quickstart
say "the program is build/release/afp; afp --help says what else it does"
