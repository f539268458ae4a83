#!/usr/bin/env bash
# usage: tools/storage/hdfs.sh start DIR [--datanodes N] | env DIR | stop DIR | kill DIR PROCESS [SIGNAL]
# A NameNode (nn) and two or N DataNodes (dn1, dn2, ...) as real processes; kill sends one of them a signal, and a
# start brings back what is dead. Hadoop's jars are those of hadoop.sum, from Maven Central.
source "$(dirname "$0")/lib.sh"

here=$(cd "$(dirname "$0")" && pwd)
jars=${HADOOP_JARS:-$here/../../.tools/hadoop}
central=${MAVEN_CENTRAL:-https://repo1.maven.org/maven2}

# fetch: the jars, whole or not at all.
fetch() {
	local sum path
	cmp -s "$here/hadoop.sum" "$jars/hadoop.sum" && return
	"$here/../need.sh" curl curl ca-certificates
	rm -rf "$jars.new" && mkdir -p "$jars.new"
	while read -r sum path; do
		printf 'url = "%s"\noutput = "%s"\n' "$central/$path" "$jars.new/${path##*/}"
	done <"$here/hadoop.sum" | curl -fsS --no-progress-meter --retry 3 --parallel --parallel-max 8 -K -
	sed -E 's| .*/| *|' "$here/hadoop.sum" | (cd "$jars.new" && sha256sum --check --quiet)
	cp "$here/hadoop.sum" "$jars.new"
	rm -rf "$jars" && mv "$jars.new" "$jars"
}

# property NAME VALUE
property() { echo "<property><name>$1</name><value>$2</value></property>"; }

# configure: as a cluster has it, but a dead DataNode is seen after 14 s, and blocks may be small.
configure() {
	local nodes=$1
	# The jars lack the web pages; the servers want the folders.
	mkdir -p "$DIR"/conf/webapps/{hdfs,datanode,static}
	printf '%s\n' 'log4j.rootLogger=INFO, out' log4j.appender.out=org.apache.log4j.ConsoleAppender \
		log4j.appender.out.layout=org.apache.log4j.PatternLayout \
		'log4j.appender.out.layout.ConversionPattern=%d{ISO8601} %p %c{1}: %m%n' >"$DIR/conf/log4j.properties"
	{
		echo '<configuration>'
		property fs.defaultFS "hdfs://localhost:$(port nn)"
		property hadoop.tmp.dir "$DIR/tmp"
		property dfs.replication $((nodes < 3 ? nodes : 3))
		property dfs.namenode.name.dir "file://$DIR/nn"
		property dfs.namenode.rpc-bind-host 127.0.0.1
		property dfs.namenode.http-address "localhost:$(port nn-http)"
		property dfs.namenode.fs-limits.min-block-size 1024
		property dfs.namenode.safemode.extension 0
		property dfs.namenode.heartbeat.recheck-interval 2000
		property dfs.heartbeat.interval 1
		property dfs.client.use.datanode.hostname true
		echo '</configuration>'
	} >"$DIR/conf/core-site.xml"
	cp "$DIR"/conf/{core,hdfs}-site.xml # each file is read over the defaults of its own kind
}

hadoop() {
	echo java -Xmx512m -XX:+UseSerialGC -XX:-UsePerfData --add-opens=java.base/java.lang=ALL-UNNAMED \
		-cp "$DIR/conf:$jars/*" "$@"
}

launch() {
	local i nodes server=org.apache.hadoop.hdfs.server
	fetch
	"$here/../need.sh" java openjdk-17-jre-headless
	set -f # the class path ends with a star that is Java's
	nodes=$(cat "$DIR/datanodes")
	configure "$nodes"
	[[ -d $DIR/nn ]] || $(hadoop $server.namenode.NameNode) -format -force -nonInteractive >>"$DIR/nn.log" 2>&1 ||
		{ tail -n 30 "$DIR/nn.log" >&2; die "the NameNode cannot format its directory"; }
	running nn || spawn nn $(hadoop $server.namenode.NameNode)
	await nn answers nn-http
	for ((i = 1; i <= nodes; i++)); do
		running "dn$i" || spawn "dn$i" $(hadoop $server.datanode.DataNode -Ddfs.datanode.hostname=localhost \
			-Ddfs.datanode.data.dir="file://$DIR/dn$i" -Ddfs.datanode.address="localhost:$(port "dn$i")" \
			-Ddfs.datanode.http.address="localhost:$(port "dn$i-http")" -Ddfs.datanode.ipc.address="localhost:$(port "dn$i-ipc")")
	done
	for ((i = 1; i <= nodes; i++)); do await "dn$i" answers "dn$i-http" '"ActorState\\*":\\*"RUNNING'; done
	await nn answers nn-http '"FSState" : "Operational"'
}

# answers NAME [PATTERN]: whether a process's own page answers and has a line like PATTERN.
answers() {
	local p
	p=$(port "$1")
	exec 3<>"/dev/tcp/127.0.0.1/$p" || return 1
	printf 'GET /jmx HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
	timeout 5 grep -q -- "${2:-200 OK}" <&3
}

address() {
	echo "TIDEMILL_HDFS=hdfs://localhost:$(port nn)"
	echo "TIDEMILL_HDFS_SERVER=$DIR" # for kill
	echo "HADOOP_CONF_DIR=$DIR/conf"
}

case ${1:-} in
start)
	mkdir -p "${2:?"start needs a directory"}"
	[[ ${3:-} != --datanodes ]] || echo "${4:?"--datanodes needs a number"}" >"$2/datanodes"
	[[ -e $2/datanodes ]] || echo 2 >"$2/datanodes"
	main start "$2"
	;;
kill)
	DIR=$(cd "${2:?"kill needs a directory"}" && pwd)
	running "${3:?"kill needs a process"}" || die "$3 does not run"
	read -r pid _ <"$DIR/$3.pid"
	kill -"${4:-KILL}" "$pid"
	# It is gone when this returns.
	[[ ${4:-KILL} != KILL ]] || while running "$3"; do sleep 0.05; done
	;;
*) main "$@" ;;
esac
