#!/usr/bin/env bash
# The demo of a cluster: processes on this machine, a job that they run, a worker that is killed. `make demo` builds the binary first.
set -euo pipefail
cd "$(dirname "$0")/.."

tidemill=bin/tidemill
dir=$(mktemp -d)
export TIDEMILL_CLUSTER=$dir/cluster
up=
trap '[ -z "$up" ] || { kill -INT "$up"; wait "$up" || true; }; rm -rf "$dir"' EXIT

bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\033[1m' plain=$'\033[0m'; fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
run() { "$tidemill" "$@" -v dir="$dir" -v examples=examples; }

say "1. A master, two workers and a shuffle server, each a process"
mkfifo "$dir/told"
"$tidemill" up --data-dir "$TIDEMILL_CLUSTER" --http 127.0.0.1:0 --log error >"$dir/told" &
up=$!
head -n 3 "$dir/told" # it tells when all are there
"$tidemill" nodes

say "2. The scripts of the embedded demo, unchanged"
run run examples/etl/generate.sql
run run examples/etl/report.sql
run sql -f examples/etl/boroughs.sql --timing

say "3. A worker is killed; the next query does not mind"
kill -9 "$(sed 's/.*"pid":\([0-9]*\).*/\1/' "$TIDEMILL_CLUSTER/worker-1/address.json")"
"$tidemill" sql --timing "SELECT passengers, COUNT(*) AS trips FROM '$dir/trips' GROUP BY passengers ORDER BY passengers LIMIT 3"

say "4. What the cluster remembers"
"$tidemill" list
