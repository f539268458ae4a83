#!/usr/bin/env bash
# The life of a streaming job, step by step as docs/streaming.md tells it; what each step gives is checked. `make demo` builds the
# binary first.
set -euo pipefail
cd "$(dirname "$0")/.."

tidemill=bin/tidemill
dir=$(mktemp -d)
up=
trap '[ -z "$up" ] || { kill -INT "$up"; wait "$up" || true; }; rm -rf "$dir"' EXIT

bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\033[1m' plain=$'\033[0m'; fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
fail() { echo "$0: $*" >&2; exit 1; }
# expect TEXT PATTERN: shows a text, in which a pattern must be.
expect() { printf '%s\n' "$1"; grep -Eq -- "$2" <<<"$1" || fail "there is no $2"; }
submit() { "$tidemill" submit "${@:2}" examples/stream/live.sql -v dir="$dir" -v parallelism="$1"; }
# follow N: what the job has published, and comes to publish, until there are N rows.
follow() { "$tidemill" tail counts -f examples/stream/live.sql -v dir="$dir" -v parallelism=1 --every 200ms -n "$1" -o csv; }

say "1. A live query: each window once the watermark has passed its end"
windows=$("$tidemill" sql -f examples/stream/watch.sql -o csv)
expect "$windows" '^2026-01-01 00:00:00[.0]*,[123],[0-9]+$'
[ "$(wc -l <<<"$windows")" = 7 ] || fail "LIMIT 6 has 6 rows and a header"

say "2. A cluster, and a job with checkpoints on it"
export TIDEMILL_CLUSTER=$dir/cluster
mkfifo "$dir/told"
"$tidemill" up --data-dir "$TIDEMILL_CLUSTER" --http 127.0.0.1:0 --slots 4 --log error >"$dir/told" &
up=$!
head -n 3 "$dir/told" # it tells when all are there
job=$(submit 2)
echo "job $job"

say "3. What it publishes, as it comes"
expect "$(follow 3)" ',[123],[0-9]+$'

say "4. Where it stands"
expect "$("$tidemill" get "$job")" RUNNING
expect "$("$tidemill" checkpoints "$job" -n 3)" COMPLETED

say "5. Another parallelism, while it runs"
"$tidemill" rescale "$job" -p 3 -w

say "6. A savepoint, of a job that runs on"
expect "$("$tidemill" savepoint "$job")" "^$dir/savepoints/"

say "7. Stop it with a savepoint, and go on from there with one subtask"
savepoint=$("$tidemill" stop "$job")
expect "$("$tidemill" checkpoints --path "$savepoint")" savepoint
expect "$("$tidemill" get "$job")" FINISHED
before=$(cat "$dir"/counts/[!._]* | grep -c -v window_start)
job=$(submit 1 -s "$savepoint")
follow $((before + 3)) | tail -n 3
"$tidemill" cancel -w "$job"

say "8. Each click was counted once: every second has 1,000"
seconds="SELECT window_start, SUM(clicks) AS clicks FROM '$dir/counts' GROUP BY window_start"
"$tidemill" sql "$seconds ORDER BY window_start"
wrong=$("$tidemill" sql -o csv "SELECT COUNT(*) FROM ($seconds) AS s WHERE clicks <> 1000" | tail -n 1)
[ "$wrong" = 0 ] || fail "$wrong seconds are wrong"
