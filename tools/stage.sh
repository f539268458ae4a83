#!/usr/bin/env bash
# usage: tools/stage.sh NAME COMMAND...
# Runs one stage of `make ci`; prints its name before, and its outcome and duration after it.
set -uo pipefail
name=$1
shift
printf '\n=== %s\n' "$name"
start=$SECONDS
"$@"
status=$?
outcome=ok
[ "$status" -eq 0 ] || outcome="FAILED (exit $status)"
printf '=== %s: %s, %d s\n' "$name" "$outcome" $((SECONDS - start))
exit "$status"
