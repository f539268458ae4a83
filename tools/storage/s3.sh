#!/usr/bin/env bash
# usage: tools/storage/s3.sh start|env|stop DIR
# S3 on a plain directory: versitygw with its posix backend, which TIDEMILL_VERSITYGW names. The access key
# is test, the secret key testtest, the bucket tidemill.
source "$(dirname "$0")/lib.sh"

launch() {
	local p gateway=${TIDEMILL_VERSITYGW:?"is not set: the path of versitygw"}
	p=$(port s3)
	# A directory in root is a bucket. The sidecar keeps metadata where the file system has no attributes.
	mkdir -p "$DIR"/{root/tidemill,sidecar}
	spawn s3 "$gateway" --access test --secret testtest --region us-east-1 --port "127.0.0.1:$p" --health /health --keep-alive --quiet \
		posix --sidecar "$DIR/sidecar" "$DIR/root"
	await s3 answers "$p"
}

# answers: whether the gateway says that it is well, without any tool that speaks HTTP.
answers() (
	exec 3<>"/dev/tcp/127.0.0.1/$1"
	printf 'GET /health HTTP/1.0\r\n\r\n' >&3
	read -r line <&3
	[[ $line == *" 200 "* ]]
)

address() {
	printf '%s\n' "TIDEMILL_S3_ENDPOINT=http://127.0.0.1:$(port s3)" TIDEMILL_S3_ACCESS_KEY=test \
		TIDEMILL_S3_SECRET_KEY=testtest TIDEMILL_S3_BUCKET=tidemill
}

main "$@"
