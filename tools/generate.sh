#!/usr/bin/env bash
# usage: tools/generate.sh [--check]
# Regenerates the Go code of every .proto file and runs `go generate`. With --check it fails when that
# changes a generated file, whether or not the work tree was clean before.
#
# Proto files import each other by their path from the repository's root; their go_package option
# decides where the Go code goes.
set -euo pipefail
cd "$(dirname "$0")/.."

# The version is in each generated file's header, so it is pinned.
tools/need.sh protoc 'protobuf-compiler=3.21.*'

generated() {
	grep -rl --include='*.go' --exclude-dir='.?*' '^// Code generated .* DO NOT EDIT\.$' . | sort
}
fingerprint() {
	generated | while read -r file; do
		printf '%s  %s\n' "$(grep -v '^// .*protoc ' "$file" | sha256sum | cut -d' ' -f1)" "$file"
	done
}

before=$(fingerprint)
module=$("${GO:-go}" list -m)
mapfile -t protos < <(find . -name '*.proto' -not -path './.*' -not -path '*/testdata/*' | sed 's|^\./||' | sort)
if [ "${#protos[@]}" -gt 0 ]; then
	PATH="${TOOLS:-$PWD/.tools}:$PATH" protoc -I . \
		--go_out=. --go_opt=module="$module" \
		--go-grpc_out=. --go-grpc_opt=module="$module" \
		"${protos[@]}"
fi
"${GO:-go}" generate ./...

if [ "${1:-}" = --check ]; then
	if ! diff <(echo "$before") <(fingerprint); then
		echo "generated files are out of date; run: make generate, and commit the result" >&2
		exit 1
	fi
fi
