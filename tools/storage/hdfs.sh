#!/usr/bin/env bash
# usage: tools/storage/hdfs.sh start DIR [--datanodes N] [--ha] | env DIR | stop DIR | kill DIR PROCESS [SIGNAL] |
#        failover DIR NAMENODE
# A NameNode (nn) and two or N DataNodes (dn1, dn2, ...) as real processes; kill sends one of them a signal, and a
# start brings back what is dead. With --ha there are two NameNodes (nn1, nn2) that share their edits in a directory,
# for the nameservice tidemill; failover makes one the active one, also when the other is dead. Hadoop's jars are those of hadoop.sum, from Maven Central.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/../jars.sh"

here=$(cd "$(dirname "$0")" && pwd)
jars=${HADOOP_JARS:-$here/../../.tools/hadoop}

fetch() { keep_jars "$here/hadoop.sum" "$jars"; }

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
		if [[ -e $DIR/ha ]]; then pair; else property fs.defaultFS "hdfs://localhost:$(port nn)"; fi
		property hadoop.tmp.dir "$DIR/tmp"
		property dfs.replication $((nodes < 3 ? nodes : 3))
		property dfs.namenode.name.dir "file://$DIR/\${tidemill.namenode}"
		property dfs.namenode.rpc-bind-host 127.0.0.1
		[[ -e $DIR/ha ]] || property dfs.namenode.http-address "localhost:$(port nn-http)"
		property dfs.namenode.fs-limits.min-block-size 1024
		property dfs.namenode.safemode.extension 0
		property dfs.namenode.heartbeat.recheck-interval 2000
		property dfs.heartbeat.interval 1
		property dfs.client.use.datanode.hostname true
		echo '</configuration>'
	} >"$DIR/conf/core-site.xml"
	cp "$DIR"/conf/{core,hdfs}-site.xml # each file is read over the defaults of its own kind
}

# pair: what makes two NameNodes one nameservice.
pair() {
	local nn
	property fs.defaultFS hdfs://tidemill
	property dfs.nameservices tidemill
	property dfs.ha.namenodes.tidemill nn1,nn2
	property dfs.namenode.shared.edits.dir "file://$DIR/edits"
	property dfs.ha.fencing.methods 'shell(/bin/true)'
	property dfs.ha.tail-edits.period 1s
	property dfs.client.failover.proxy.provider.tidemill \
		org.apache.hadoop.hdfs.server.namenode.ha.ConfiguredFailoverProxyProvider
	for nn in nn1 nn2; do
		property "dfs.namenode.rpc-address.tidemill.$nn" "localhost:$(port $nn)"
		property "dfs.namenode.http-address.tidemill.$nn" "localhost:$(port $nn-http)"
	done
}

hadoop() {
	echo java ${STORAGE_JAVA:-} -Xmx512m -XX:+UseSerialGC -XX:-UsePerfData --add-opens=java.base/java.lang=ALL-UNNAMED \
		-cp "$DIR/conf:$jars/*" "$@"
}

launch() {
	local i nn nodes names=(nn)
	[[ ! -e $DIR/ha ]] || names=(nn1 nn2)
	fetch
	"$here/../need.sh" java openjdk-17-jre-headless
	set -f # the class path ends with a star that is Java's
	nodes=$(cat "$DIR/datanodes")
	configure "$nodes"
	nn=${names[0]}
	[[ -d $DIR/$nn ]] || $(as "$nn") -format -force -nonInteractive >>"$DIR/$nn.log" 2>&1 ||
		{ tail -n 30 "$DIR/$nn.log" >&2; die "the NameNode cannot format its directory"; }
	[[ ! -e $DIR/ha || -d $DIR/nn2 ]] || cp -r "$DIR/nn1" "$DIR/nn2" # as -bootstrapStandby does
	for nn in "${names[@]}"; do running "$nn" || spawn "$nn" $(as "$nn"); done
	for nn in "${names[@]}"; do await "$nn" answers "$nn-http"; done
	if [[ -e $DIR/ha ]] && ! active nn1 && ! active nn2; then admin -transitionToActive nn1; fi
	for ((i = 1; i <= nodes; i++)); do
		running "dn$i" || spawn "dn$i" $(hadoop org.apache.hadoop.hdfs.server.datanode.DataNode -Ddfs.datanode.hostname=localhost \
			-Ddfs.datanode.data.dir="file://$DIR/dn$i" -Ddfs.datanode.address="localhost:$(port "dn$i")" \
			-Ddfs.datanode.http.address="localhost:$(port "dn$i-http")" -Ddfs.datanode.ipc.address="localhost:$(port "dn$i-ipc")")
	done
	for ((i = 1; i <= nodes; i++)); do await "dn$i" answers "dn$i-http" '"ActorState\\*":\\*"RUNNING'; done
	for nn in "${names[@]}"; do active "$nn" && await "$nn" answers "$nn-http" '"FSState" : "Operational"'; done
	return 0
}

# as NAMENODE: the command of one of the NameNodes.
as() {
	hadoop "-Dtidemill.namenode=$1" org.apache.hadoop.hdfs.server.namenode.NameNode
	[[ ! -e $DIR/ha ]] || echo "-Ddfs.ha.namenode.id=$1"
}

# active NAMENODE: whether it leads.
active() { answers "$1-http" '"State" : "active"'; }

# admin ARGUMENT...: Hadoop's tool for pairs.
admin() {
	set -f
	$(hadoop org.apache.hadoop.hdfs.tools.DFSHAAdmin) "$@" >>"$DIR/admin.log" 2>&1 ||
		{ tail -n 30 "$DIR/admin.log" >&2; die "haadmin $*"; }
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
	[[ ! -e $DIR/ha ]] || { echo "TIDEMILL_HDFS_HA=$DIR"; return; }
	echo "TIDEMILL_HDFS=hdfs://localhost:$(port nn)"
	echo "TIDEMILL_HDFS_SERVER=$DIR" # for kill
	echo "HADOOP_CONF_DIR=$DIR/conf"
}

case ${1:-} in
start)
	dir=${2:?"start needs a directory"}
	mkdir -p "$dir"
	shift 2
	while (($#)); do
		case $1 in
		--datanodes) echo "${2:?"--datanodes needs a number"}" >"$dir/datanodes" && shift ;;
		--ha) touch "$dir/ha" ;;
		*) die "unknown option $1" ;;
		esac
		shift
	done
	[[ -e $dir/datanodes ]] || echo 2 >"$dir/datanodes"
	main start "$dir"
	;;
fetch)
	DIR=
	fetch
	;;
failover)
	DIR=$(cd "${2:?"failover needs a directory"}" && pwd)
	to=${3:?"failover needs a NameNode"}
	[[ $to == nn2 ]] && from=nn1 || from=nn2
	active "$to" || admin -failover "$from" "$to"
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
