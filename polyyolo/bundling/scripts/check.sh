#!/bin/sh
# A first look at the outputs in results/: how far they are from what ONNX Runtime computes. Needs awk and od.
# polyyolo report --from compares boxes, which is what counts.
set -u
unset CDPATH
cd -- "$(dirname -- "$0")" || exit 2
LC_ALL=C # elsewhere od and awk write and read 0,5 for 0.5
export LC_ALL

command -v od >/dev/null && command -v awk >/dev/null || { printf 'no awk or od here: polyyolo report compares the outputs\n'; exit 0; }

printf 'outputs against what ONNX Runtime computes, signal to noise:\n'
while IFS='	' read -r index file quantizing name; do
  got=results/outputs/$index.json
  case $name in
  *[][{},\"\\]*)
    printf '  %s, %s: a name that this cannot look for; polyyolo report compares it\n' "$index" "$name"
    continue
    ;;
  esac
  [ -s "$got" ] || { printf 'error: %s is missing\n  fix: sh bench.sh\n' "$got" >&2; exit 2; }
  told=$({ od -A n -v -t f4 "$file"; printf '=\n'; tr ',[]{}' '\n\n\n\n\n' <"$got"; } | awk -v name="$name" -f lib/compare.awk)
  [ "$quantizing" = '?' ] || told="$told (INT8 itself is $quantizing dB from FP32)"
  printf '  %s, %s: %s\n' "$index" "$name" "$told"
done <lib/outputs.tsv
