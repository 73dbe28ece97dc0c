#!/usr/bin/env bash
# Installs what is missing, builds everything, and runs every test.
set -euo pipefail
# shellcheck source=scripts/lib/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/setup.sh"

usage() {
  cat <<'TEXT'
Usage: scripts/test.sh [--yes] [CTEST-OPTION...]

Builds everything and runs every test; output is shown of those that fail. What
follows goes to ctest, as in: scripts/test.sh -L codec_test

  --yes       install missing Debian packages without asking (so does a CI variable
              in the environment)
  -h, --help  this text
TEXT
}

ctest_options=()
for argument in "$@"; do
  case $argument in
    --yes) assume_yes=yes ;;
    -h | --help) usage && exit ;;
    *) ctest_options+=("$argument") ;;
  esac
done

install_missing
configure release
build release
say "testing"
ctest --test-dir "$build" -j "$jobs" --output-on-failure --no-tests=error --no-label-summary --progress "${ctest_options[@]}"
