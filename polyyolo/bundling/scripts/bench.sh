#!/bin/sh
# Measure the engine that build.sh made, and run it on the known pictures: sh bench.sh
# What comes out is in results/; copy this folder back, and: polyyolo report RUN --from FOLDER
set -u
unset CDPATH
cd -- "$(dirname -- "$0")" || exit 2
[ -f lib/common.sh ] || { printf 'error: lib/common.sh is missing\n  fix: copy the bundle again, whole, and start this in its own folder\n' >&2; exit 2; }
. ./lib/generations.sh
. ./lib/common.sh

[ $# -eq 0 ] || refuse 'bench.sh takes no arguments' 'sh bench.sh' 2
[ -s engine/model.plan ] && [ -s engine/build.txt ] || refuse 'there is no engine/model.plan yet' 'sh build.sh' 2
find_trtexec
ask_version
verify
built=$(sed -n 's/^number=//p' engine/build.txt)
route=$(sed -n 's/^route=//p' engine/build.txt)
[ "$built" = "$number" ] || refuse "the engine was built with trtexec v$built, this one is v$number: engines are for one release" 'sh build.sh, with this trtexec' 2

watch() { # notes what the GPU does meanwhile, where the driver tells it (a Jetson has no nvidia-smi)
  command -v nvidia-smi >/dev/null || return
  nvidia-smi --query-gpu="$gpu_readings" --format=csv,noheader,nounits -lms 200 >"$fresh/gpu.csv" 2>/dev/null &
  watcher=$!
}

unwatch() {
  [ -z "$watcher" ] || kill "$watcher" 2>/dev/null
  watcher=
}

wanted=$(sed -n 's/^sha256=//p' engine/build.txt)
[ -z "$wanted" ] || [ "$(sum_of engine/model.plan)" = "$wanted" ] || refuse 'engine/model.plan is not the one that build.sh noted' 'sh build.sh' 2

alone engine/.at-work
fresh=results.partial
hold "$fresh"
mkdir -p "$fresh/outputs" || refuse 'cannot make folders here' 'copy the bundle to where you may write' 2
[ -f engine/build.log ] || refuse 'engine/build.log is missing' 'sh build.sh' 2
cp engine/build.txt "$fresh/build.txt" && cp engine/build.log "$fresh/build.log" || refuse 'the notes of the build cannot be copied' 'free some disk space'

exported() { # FILE: stop where trtexec said PASSED and did not write it to its last bracket
  [ "$(tail -n 1 "$1" 2>/dev/null | tr -cd ']')" = ']' ] && return
  refuse "trtexec did not write $1, or not to its end" 'free some disk space, then sh bench.sh' 4
}

measured() { # WHAT FUNCTION: run one of the generated functions, and stop where trtexec fails
  log=$fresh/$1.log
  "$2" "$route" "$number" logged
  [ "$status" -eq 0 ] && return
  mkdir -p engine && cp "$log" engine/bench_failed.log
  show_end engine/bench_failed.log
  refuse "trtexec ended with status $status while it measured: $1" 'the last lines tell why; the whole log is engine/bench_failed.log' 4
}

printf 'measuring speed, layers and outputs, which takes seconds; logs: results/*.log\n'
watch
measured speed speed_with
unwatch
exported "$fresh/times.json"
measured layers layers_with
for index in $references; do
  measured outputs outputs_with
  exported "$fresh/outputs/$index.json"
done

rm -rf results engine/bench_failed.log && mv "$fresh" results || refuse 'cannot replace the folder results' 'remove it, then sh bench.sh' 3
scratch=
grep -E 'Throughput:|GPU Compute Time: min' results/speed.log | sed 's/^.*\] \[I\] /  /'
sh ./check.sh
printf 'results are in results/; copy this folder back, then: polyyolo report RUN --from FOLDER\n'
