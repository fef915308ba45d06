#!/bin/sh
# Build the engine on this machine: sh build.sh [qdq|calibrated]
# TRTEXEC names trtexec where it is neither on PATH nor where NVIDIA's packages put it.
set -u
unset CDPATH
cd -- "$(dirname -- "$0")" || exit 2
[ -f lib/common.sh ] || { printf 'error: lib/common.sh is missing\n  fix: copy the bundle again, whole, and start this in its own folder\n' >&2; exit 2; }
. ./lib/generations.sh
. ./lib/common.sh

[ $# -le 1 ] || refuse "build.sh takes one route, not $# words" "take one of: $known_routes" 2
route=${1:-$default_route}
case " $known_routes " in
*" $route "*) ;;
*) refuse "this bundle has no route $route" "take one of: $known_routes" 2 ;;
esac

find_trtexec
ask_version
verify
mkdir -p engine || refuse 'cannot make the folder engine here' 'copy the bundle to where you may write' 2
alone engine/.at-work
partial=engine/.model.plan
log=engine/build.log
hold "$partial"
# An engine that another user built leaves a folder that this one cannot write to.
rm -f engine/failed.txt engine/bench_failed.log "$log" && true >"$log" || refuse 'cannot write into the folder engine' 'make it writable, or remove it' 2

if [ "$route" = calibrated ]; then
  # TensorRT may refuse a cache of another release, so that the first line gets the number of this one.
  sed "1s/^TRT-[0-9]*-/TRT-$number-/" models/calibration.cache >engine/calibration.cache || refuse 'engine/calibration.cache cannot be written' 'free some disk space'
fi

fail() { # MESSAGE FIX
  {
    printf 'number=%s\nroute=%s\nstatus=%s\n' "$number" "$route" "$status"
    printf 'message=%s\n' "$1"
  } >engine/failed.txt
  show_end "$log"
  refuse "$1" "$2" 4
}

printf 'building the %s engine, which takes minutes; log: engine/build.log\n' "$route"
began=$(date +%s)
build_with "$route" "$number" logged
ended=$(date +%s)

[ "$status" -eq 0 ] || fail "trtexec ended with status $status" 'the last lines tell why; send engine/build.log back with this folder'
[ -s "$partial" ] || fail 'trtexec says that it succeeded, but wrote no engine' 'free some disk space, and see engine/build.log'
case $(dd if="$partial" bs=4 count=1 2>/dev/null) in
  ftrt | ptrt) ;; # ptrt before 8.6
  *) fail 'trtexec says that it succeeded, but what it wrote is no engine' 'see engine/build.log' ;;
esac
if [ "$route" = calibrated ] && ! grep -q 'Reading Calibration Cache' "$log"; then
  fail 'TensorRT did not read the calibration cache, so that its INT8 scales are made up' 'sh build.sh qdq builds without one'
fi

{
  printf 'number=%s\nroute=%s\nseconds=%s\nbundle=%s\n' "$number" "$route" "$((ended - began))" "$(sum_of SHA256SUMS)"
  printf 'bytes=%s\nsha256=%s\n' "$(wc -c <"$partial" | tr -d ' ')" "$(sum_of "$partial")"
} >engine/build.txt.new && mv "$partial" engine/model.plan && mv engine/build.txt.new engine/build.txt ||
  refuse 'the engine cannot be written' 'free some disk space' 3
printf 'built engine/model.plan; now: sh bench.sh\n'
