#!/usr/bin/env bash
# usage: tools/storage/test.sh [GO TEST ARGUMENTS]
# Starts each storage server that has a script here, runs the tests behind the build tag storage of the
# packages that need one, and stops what it started.
set -euo pipefail
cd "$(dirname "$0")/../.."

export STORAGE_JAVA=-XX:TieredStopAtLevel=1 # servers that live for seconds: compile quickly, not well
dir=$(mktemp -d)
servers=(s3 hdfs pair)

# run SERVER VERB: pair are two NameNodes with one DataNode.
run() {
	case $1-$2 in
	pair-start) tools/storage/hdfs.sh start "$dir/pair" --ha --datanodes 1 ;;
	pair-*) tools/storage/hdfs.sh "$2" "$dir/pair" ;;
	*) "tools/storage/$1.sh" "$2" "$dir/$1" ;;
	esac
}

stop() {
	local server
	wait # what is being started can be stopped only then
	for server in "${servers[@]}"; do
		[[ ! -d $dir/$server ]] || run "$server" stop || true
	done
	rm -rf "$dir"
}
trap stop EXIT
trap 'exit 130' INT TERM

run hdfs fetch # before two ask for it
starts=()
for server in "${servers[@]}"; do run "$server" start & starts+=($!); done
for start in "${starts[@]}"; do wait "$start"; done
for server in "${servers[@]}"; do
	while IFS= read -r line; do export "${line?}"; done < <(run "$server" env)
done
"${GO:-go}" test -count=1 -tags storage "$@" ./fs/s3 ./fs/hdfs
"${GO:-go}" test -count=1 -tags storage "$@" -run '^TestStorage' .
