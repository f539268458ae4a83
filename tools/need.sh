#!/usr/bin/env bash
# usage: tools/need.sh COMMAND PACKAGE[=VERSION]...
# Makes sure that COMMAND exists. Where it does not, installs the Debian packages if that is allowed
# (root and apt-get), and otherwise says what to install.
set -euo pipefail
command=$1
shift
if command -v "$command" >/dev/null; then
	exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
	echo "$command is missing; install it (Debian: apt-get install $*)" >&2
	exit 1
fi
echo "installing $* (for $command)"
export DEBIAN_FRONTEND=noninteractive
apt-get install -qq -y --no-install-recommends "$@" >/dev/null 2>&1 || {
	apt-get update -qq
	apt-get install -qq -y --no-install-recommends "$@" >/dev/null
}
