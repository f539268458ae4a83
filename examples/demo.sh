#!/usr/bin/env bash
# The demo: a nightly ETL job and a live stream on an embedded cluster, from nothing. `make demo` builds the binary first.
set -euo pipefail
cd "$(dirname "$0")/.."

tidemill=bin/tidemill
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\033[1m' plain=$'\033[0m'; fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
run() { "$tidemill" "$@" -v dir="$dir" -v examples=examples; }

say "1. Generate three million trips as Parquet, partitioned by day"
run run examples/etl/generate.sql
du -sh "$dir/trips" | cut -f1

say "2. The nightly job: join, aggregate, write the report partitioned by borough"
run run examples/etl/report.sql

say "3. What the report says"
run sql -f examples/etl/boroughs.sql --timing

say "4. A live stream: clicks by page in windows of one second, as they close"
run sql -f examples/stream/clicks.sql --timing

say "5. A job in Go: a ledger, and what its checker says of the books"
LEDGER_DIR="$dir/ledger" go run ./examples/ledger
