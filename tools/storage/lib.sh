# What the scripts of servers in tests share. A script defines launch, which calls
# spawn and await, and address, which prints KEY=value lines, and ends with
# `main "$@"`. Verbs: start DIR, env DIR, stop DIR.

set -euo pipefail
SERVICE=$(basename "$0" .sh)
WAIT=${STORAGE_WAIT:-60} # seconds that a server may take until it answers

die() { echo "$SERVICE: $*" >&2; exit 1; }

# port NAME: the port of NAME, the same in each call: a free one on the loopback
# interface, below the range of outgoing connections.
port() {
	local p
	p=$(cat "$DIR/$1.port" 2>/dev/null || true)
	if [[ -z $p ]]; then
		for p in $(shuf -i 20000-31999 -n 100); do
			(exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null || break
		done
		echo "$p" >"$DIR/$1.port"
	fi
	echo "$p"
}

# The start time of a process, empty when it is gone: a pid alone may be reused.
born() { sed -n 's/.*) [^Z] //p' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f19; }

running() {
	local pid time
	read -r pid time 2>/dev/null <"$DIR/$1.pid" && [[ -n $time && $(born "$pid") == "$time" ]]
}

# spawn NAME COMMAND...: run it as the process NAME.
spawn() {
	local name=$1
	shift
	setsid "$@" >>"$DIR/$name.log" 2>&1 </dev/null &
	echo "$! $(born $!)" >"$DIR/$name.pid"
	disown $!
}

# await NAME COMMAND...: wait until the command succeeds, as long as NAME lives.
await() {
	local name=$1 end=$((SECONDS + WAIT)) why=
	shift
	until "$@" >/dev/null 2>&1; do
		running "$name" || why="$name died"
		((SECONDS < end)) || why="$name does not answer after $WAIT s"
		if [[ -n $why ]]; then
			tail -n 30 "$DIR/$name.log" >&2
			die "$why; the end of its log is above"
		fi
		sleep 0.1
	done
}

# halt: end what spawn started, the newest first.
halt() {
	local name pid end
	for name in $(find "$DIR" -maxdepth 1 -name '*.pid' -printf '%T@ %f\n' | sort -rn | sed 's/.* //; s/\.pid$//'); do
		read -r pid _ <"$DIR/$name.pid"
		end=$((SECONDS + 10))
		! running "$name" || kill "$pid" || true
		while running "$name"; do
			((SECONDS < end)) || kill -KILL "$pid" || true
			sleep 0.05
		done
		rm -f "$DIR/$name.pid"
	done
}

main() {
	(($# == 2)) || die "usage: $SERVICE start|env|stop DIR"
	local verb=$1
	[[ $verb != start ]] || mkdir -p "$2"
	DIR=$(cd "$2" && pwd)
	case $verb in
	start)
		trap '(($? == 0)) || halt' EXIT # a failed start leaves nothing running
		launch
		address >"$DIR/env"
		;;
	env) cat "$DIR/env" ;;
	stop) halt ;;
	*) die "unknown verb $verb" ;;
	esac
}
