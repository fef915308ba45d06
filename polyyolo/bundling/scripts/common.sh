# What build.sh and bench.sh share: POSIX shell, nothing else. They stand in the bundle's folder when they read this.

LC_ALL=C # elsewhere od, awk and trtexec may write 0,5 for 0.5
export LC_ALL

note() {
  printf 'note: %s\n' "$1"
}

refuse() { # MESSAGE FIX [STATUS]
  printf 'error: %s\n' "$1" >&2
  [ -z "$2" ] || printf '  fix: %s\n' "$2" >&2
  exit "${3:-3}"
}

unknown() { # ROUTE NUMBER
  refuse "there is no command for route $1 and trtexec v$2" "take one of these routes: $known_routes" 2
}

find_trtexec() { # sets trtexec; what TRTEXEC says is meant where the script was started, in $OLDPWD
  if [ -n "${TRTEXEC:-}" ]; then
    case $TRTEXEC in
    /*) trtexec=$TRTEXEC ;;
    */*) trtexec=$OLDPWD/$TRTEXEC ;;
    *) trtexec=$(command -v "$TRTEXEC") || trtexec=$OLDPWD/$TRTEXEC ;;
    esac
    [ -f "$trtexec" ] && [ -x "$trtexec" ] || refuse "TRTEXEC is $trtexec, which is no program" 'set TRTEXEC to the path of trtexec'
    return
  fi
  trtexec=$(command -v trtexec) && return
  for folder in $usual_folders; do
    trtexec=$folder/trtexec
    [ -f "$trtexec" ] && [ -x "$trtexec" ] && return
  done
  refuse "trtexec was not found; looked on PATH, and in $usual_folders" 'set TRTEXEC to its path, as TRTEXEC=/opt/TensorRT-10.16/bin/trtexec'
}

ask_version() { # sets number and release
  number=$("$trtexec" --help 2>&1 | sed -n 's/.*\[TensorRT v\([0-9][0-9]*\)\].*/\1/p' | sed -n 1p)
  case $number in
  '') refuse "$trtexec did not tell its version" 'run it by hand: a library may be missing, or it is another program' ;;
  ?????*) release=$((number / 10000)).$((number / 100 % 100)).$((number % 100)) ;;
  *) release=$((number / 1000)).$((number / 100 % 10)).$((number % 100)) ;;
  esac
  [ "$number" -ge "$oldest_number" ] || refuse "trtexec $release is older than $oldest_release, the oldest that this bundle is for" "install TensorRT $oldest_release or newer"
  printf 'trtexec %s: %s\n' "$release" "$trtexec"
}

sum_of() { # FILE; prints 64 hexadecimal digits, or nothing where no program computes them
  if command -v sha256sum >/dev/null; then
    sha256sum <"$1" | cut -c 1-64
  elif command -v shasum >/dev/null; then
    shasum -a 256 <"$1" | cut -c 1-64
  elif command -v openssl >/dev/null; then
    openssl dgst -sha256 -r <"$1" | cut -c 1-64
  fi
}

verify() { # compares every file of the bundle with the list that was packed
  [ -s SHA256SUMS ] || refuse 'SHA256SUMS is missing or empty' 'copy the bundle again, whole' 2
  [ -n "$(sum_of SHA256SUMS)" ] || { note 'no sha256sum here: the files of the bundle are taken as they are'; return; }
  files=0
  while read -r wanted file || [ -n "$wanted" ]; do
    files=$((files + 1))
    [ -f "$file" ] || refuse "$file is missing" 'copy the bundle again, whole' 2
    [ "$(sum_of "$file")" = "$wanted" ] || refuse "$file is not what was packed: its SHA-256 differs" 'copy the bundle again: a transfer may have been cut off, or in text mode' 2
  done <SHA256SUMS
  [ "$files" -eq "$packed_files" ] || refuse "SHA256SUMS lists $files files, where $packed_files were packed" 'copy the bundle again: a transfer may have been cut off' 2
}

child=
watcher=
scratch=
lock=
clean_up() { # removes what is half-written
  [ -z "$watcher" ] || kill "$watcher" 2>/dev/null
  [ -z "$scratch" ] || rm -rf "$scratch"
  [ -z "$lock" ] || rm -rf "$lock"
}

alone() { # LOCK: a folder that tells who is at work here; one that was left by a process that is gone is taken over
  if ! mkdir "$1" 2>/dev/null; then
    other=$(cat "$1/process" 2>/dev/null)
    [ -z "$other" ] || ! kill -0 "$other" 2>/dev/null || refuse "another build.sh or bench.sh is at work here: process $other" 'wait until it has ended'
  fi
  lock=$1
  { printf '%s\n' "$$" >"$lock/process"; } 2>/dev/null # where nothing can be written, what follows says so
}

end() { # SIGNAL: send it to trtexec and all that it started
  kill "-$1" "-$child" 2>/dev/null || kill "-$1" "$child" 2>/dev/null
}

stop() { # SIGNAL-NUMBER
  trap - INT TERM HUP EXIT
  if [ -n "$child" ]; then
    end TERM
    (sleep 3; end KILL) >/dev/null 2>&1 & # where it does not listen
    wait "$child" 2>/dev/null
    kill "$!" 2>/dev/null
    kill -KILL "-$child" 2>/dev/null
  fi
  clean_up
  printf 'stopped: nothing half-written was left\n' >&2
  exit "$((128 + $1))"
}

hold() { # SCRATCH: what to remove, however this ends
  scratch=$1
  rm -rf "$scratch"
  trap clean_up EXIT
  trap 'stop 2' INT
  trap 'stop 15' TERM
  trap 'stop 1' HUP
}

logged() { # ARGUMENTS: run trtexec with them; all it prints goes to $log, its exit status to $status
  printf '$ %s' "$trtexec" >>"$log"
  printf ' %s' "$@" >>"$log"
  printf '\n' >>"$log"
  # In the background, so that a signal need not wait for it to end; where setsid is there, in a group of its own, so
  # that a trtexec which is a script around the real one ends whole.
  apart=
  command -v setsid >/dev/null && apart=setsid
  $apart "$trtexec" "$@" >>"$log" 2>&1 </dev/null &
  child=$!
  wait "$child"
  status=$?
  child=
}

show_end() { # LOG: the last lines, on standard error; TensorRT names hundreds of layers in one line
  printf '  the last lines of %s:\n' "$1" >&2
  tail -n 12 "$1" | cut -c 1-400 | sed 's/^/  | /' >&2
}
