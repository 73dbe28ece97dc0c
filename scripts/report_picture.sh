#!/usr/bin/env bash
# Makes examples/digits/report.png, the picture in README.md: the report of a search over the digits network, as a
# headless Chromium (Debian package chromium) shows its upper part.
set -euo pipefail
# shellcheck source=scripts/lib/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/setup.sh"

command -v chromium >/dev/null || fail "chromium is not installed"
build release afp_cli
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$root"
"$build/afp" search examples/digits/model --target-bpw 4.25 --report "$folder/report.html" --quiet
# Without a display and with the fonts of the machine; the page needs nothing else.
chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1060,1330 \
  --screenshot="$folder/report.png" "file://$folder/report.html" >/dev/null 2>&1
mv "$folder/report.png" examples/digits/report.png
say "examples/digits/report.png: $(stat -c %s examples/digits/report.png) bytes"
