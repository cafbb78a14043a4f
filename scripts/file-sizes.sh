#!/bin/sh
# No source file over 1,000 lines: past 600, ask what the second thing is (STYLE.md). Files of tests are apart.
set -eu
cd "$(dirname "$0")/.."
max=1000
over=$(find crates web e2e fuzz bench -type d \( -name node_modules -o -name dist -o -name target -o -name .venv \) -prune -o \
  -type f \( -name '*.rs' -o -name '*.ts' -o -name '*.tsx' -o -name '*.mjs' -o -name '*.css' \) \
  ! -name 'tests.rs' ! -name '*_tests.rs' ! -name '*.test.*' -print 2>/dev/null |
  while read -r file; do
    lines=$(wc -l <"$file")
    if [ "$lines" -gt "$max" ]; then echo "$file has $lines lines; $max is the most"; fi
  done)
if [ -n "$over" ]; then
  echo "$over" >&2
  exit 1
fi
echo "sizes of files: ok"
