#!/usr/bin/env bash
# usage: tools/streams/kafka.sh fetch | start DIR | env DIR | stop DIR | kill DIR [SIGNAL]
# One Kafka broker (KRaft) as a real process, called broker; kill sends it a signal, and a start brings it back with what
# it had. Kafka's jars are those of kafka.sum, from Maven Central.
source "$(dirname "$0")/../storage/lib.sh"
source "$(dirname "$0")/../jars.sh"

here=$(cd "$(dirname "$0")" && pwd)
jars=${KAFKA_JARS:-$here/../../.tools/kafka}

fetch() { keep_jars "$here/kafka.sum" "$jars"; }

# kafka: the command of one of Kafka's programs.
kafka() {
	echo java ${STREAMS_JAVA:-} -Xmx384m -XX:+UseSerialGC -XX:-UsePerfData -Dlog4j2.configurationFile="$DIR/log4j2.properties" -cp "$jars/*" "$@"
}

# configure: what a cluster has, with few threads and partitions, and without waiting for a group to fill.
configure() {
	printf '%s\n' rootLogger.level=INFO rootLogger.appenderRef.out.ref=out appender.out.type=Console appender.out.name=out \
		appender.out.target=SYSTEM_ERR appender.out.layout.type=PatternLayout \
		'appender.out.layout.pattern=%d %p %c{1}: %m%n' >"$DIR/log4j2.properties"
	cat >"$DIR/broker.properties" <<-END
		process.roles=broker,controller
		node.id=1
		controller.quorum.voters=1@127.0.0.1:$(port controller)
		listeners=PLAINTEXT://127.0.0.1:$(port broker),CONTROLLER://127.0.0.1:$(port controller)
		advertised.listeners=PLAINTEXT://127.0.0.1:$(port broker)
		controller.listener.names=CONTROLLER
		log.dirs=$DIR/data
		offsets.topic.replication.factor=1
		offsets.topic.num.partitions=4
		transaction.state.log.replication.factor=1
		transaction.state.log.min.isr=1
		transaction.state.log.num.partitions=4
		share.coordinator.state.topic.replication.factor=1
		share.coordinator.state.topic.min.isr=1
		group.initial.rebalance.delay.ms=0
		transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
		num.network.threads=2
		num.io.threads=4
		broker.session.timeout.ms=4000
		broker.heartbeat.interval.ms=500
	END
}

launch() {
	fetch
	"$here/../need.sh" java openjdk-17-jre-headless
	set -f # the class path ends with a star that is Java's
	configure
	if [[ ! -e $DIR/data/meta.properties ]]; then
		$(kafka kafka.tools.StorageTool) format -t tidemillTidemillTideQQ -c "$DIR/broker.properties" >>"$DIR/broker.log" 2>&1 ||
			{ tail -n 30 "$DIR/broker.log" >&2; die "the broker cannot format its directory"; }
	fi
	running broker && return
	echo "--- start" >>"$DIR/broker.log"
	spawn broker $(kafka kafka.Kafka) "$DIR/broker.properties"
	await broker started
}

# The log goes on over restarts: what follows the last start counts.
started() { awk '/^--- start/ {up = 0} /Kafka Server started/ {up = 1} END {exit !up}' "$DIR/broker.log"; }

address() {
	echo "TIDEMILL_KAFKA=127.0.0.1:$(port broker)"
	echo "TIDEMILL_KAFKA_SERVER=$DIR" # for kill
}

case ${1:-} in
fetch) fetch ;;
kill)
	DIR=${2:?"kill needs a directory"}
	read -r pid _ <"$DIR/broker.pid"
	! running broker || kill -"${3:-KILL}" "$pid"
	[[ ${3:-KILL} != KILL ]] || while running broker; do sleep 0.05; done
	;;
*) main "$@" ;;
esac
