#!/usr/bin/env bash
# usage: tools/duckdb.sh DESTINATION
# Puts the DuckDB command line, the oracle of the SQL tests, at DESTINATION. It comes from the PyPI
# package duckdb-cli, whose wheel holds one static binary.
set -euo pipefail
version=1.5.6
destination=$1
cd "$(dirname "$0")/.."

tools/need.sh python3 python3 python3-venv
python3 -c 'import ensurepip' 2>/dev/null || apt-get install -qq -y --no-install-recommends python3-venv >/dev/null

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check --no-input "duckdb-cli==$version"

mkdir -p "$(dirname "$destination")"
cp -L "$scratch/venv/bin/duckdb" "$destination.new"
"$destination.new" --version
mv "$destination.new" "$destination"
