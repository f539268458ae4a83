#!/usr/bin/env bash
# usage: tools/storage/bench.sh TIDEMILL DIR [ARGUMENTS OF bench tpch]
# Starts each storage server that has a script here, copies the TPC-H tables in DIR there, runs the queries
# on them beside the local files, and stops what it started. With --scale N the tables are made in DIR.
set -euo pipefail
tidemill=$(realpath "$1")
data=$(realpath -m "$2")
shift 2
cd "$(dirname "$0")"

dir=$(mktemp -d)
servers=(s3 hdfs)
stop() {
	local server
	for server in "${servers[@]}"; do
		[[ ! -d $dir/$server ]] || ./"$server.sh" stop "$dir/$server" || true
	done
	rm -rf "$dir"
}
trap stop EXIT
trap 'exit 130' INT TERM

for server in "${servers[@]}"; do
	"./$server.sh" start "$dir/$server"
	while IFS= read -r line; do export "${line?}"; done < <("./$server.sh" env "$dir/$server")
	case $server in
	s3) to=(--data "s3://$TIDEMILL_S3_BUCKET/tpch" -D "s3.endpoint=$TIDEMILL_S3_ENDPOINT" -D s3.path.style.access=true
		-D "s3.access-key=$TIDEMILL_S3_ACCESS_KEY" -D "s3.secret-key=$TIDEMILL_S3_SECRET_KEY") ;;
	hdfs) to=(--data "$TIDEMILL_HDFS/tpch") ;;
	esac
	"$tidemill" bench tpch --local "$data" "${to[@]}" "$@"
	echo
	"./$server.sh" stop "$dir/$server" # the next one is not to share the machine with it
done
