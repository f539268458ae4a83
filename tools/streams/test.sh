#!/usr/bin/env bash
# usage: tools/streams/test.sh [GO TEST ARGUMENTS]
# Starts a Kafka broker, runs the tests behind the build tag streams, and stops it.
set -euo pipefail
cd "$(dirname "$0")/../.."

export STORAGE_WAIT=120 # seconds that a broker may take
export STREAMS_JAVA=-XX:TieredStopAtLevel=1 # a server that lives for seconds: compile quickly, not well
dir=$(mktemp -d)
stop() {
	tools/streams/kafka.sh stop "$dir" || true
	rm -rf "$dir"
}
trap stop EXIT
trap 'exit 130' INT TERM

tools/streams/kafka.sh start "$dir"
while IFS= read -r line; do export "${line?}"; done < <(tools/streams/kafka.sh env "$dir")
"${GO:-go}" test -count=1 -tags streams "$@" -run '^TestStreams' ./core/connector/kafka ./cmd/tidemill
