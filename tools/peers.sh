#!/usr/bin/env bash
# usage: tools/peers.sh DESTINATION
# Makes a Python environment at DESTINATION with what `tidemill bench` measures beside, and the
# generator of official TPC-H data.
set -euo pipefail
destination=$1
cd "$(dirname "$0")/.."

tools/need.sh python3 python3 python3-venv
python3 -c 'import ensurepip' 2>/dev/null || tools/need.sh "Python's module ensurepip" python3-venv

rm -rf "$destination"
python3 -m venv "$destination"
"$destination/bin/pip" install --quiet --disable-pip-version-check --no-input \
	duckdb==1.5.6 polars==2.1.0 tpchgen-cli==4.0.0
"$destination/bin/python" -c 'import duckdb, polars; print("duckdb", duckdb.__version__, "polars", polars.__version__)'
