#!/usr/bin/env bash
# usage: tools/storage/test.sh [GO TEST ARGUMENTS]
# Starts each storage server that has a script here, runs the tests behind the build tag storage of the
# packages that need one, and stops what it started.
set -euo pipefail
cd "$(dirname "$0")/../.."

dir=$(mktemp -d)
servers=(s3)
packages=(./fs/s3)
if [[ -x tools/storage/hdfs.sh ]]; then
	servers+=(hdfs)
	packages+=(./fs/hdfs)
fi

stop() {
	local server
	for server in "${servers[@]}"; do
		[[ ! -d $dir/$server ]] || "tools/storage/$server.sh" stop "$dir/$server" || true
	done
	rm -rf "$dir"
}
trap stop EXIT
trap 'exit 130' INT TERM

for server in "${servers[@]}"; do
	"tools/storage/$server.sh" start "$dir/$server"
	while IFS= read -r line; do export "${line?}"; done < <("tools/storage/$server.sh" env "$dir/$server")
done
"${GO:-go}" test -count=1 -tags storage "$@" "${packages[@]}"
"${GO:-go}" test -count=1 -tags storage "$@" -run '^TestStorage' .
