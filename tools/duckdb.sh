#!/usr/bin/env bash
# usage: tools/duckdb.sh DESTINATION
# Puts the DuckDB command line, the oracle of the SQL tests, at DESTINATION. It comes from the PyPI
# package duckdb-cli, whose wheel holds one static binary.
set -euo pipefail
version=1.5.6
destination=$1
cd "$(dirname "$0")/.."

tools/need.sh python3 python3 python3-venv
python3 -c 'import ensurepip' 2>/dev/null || tools/need.sh "Python's module ensurepip" python3-venv

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check --no-input "duckdb-cli==$version"

# What pip puts on the PATH is a Python script that starts the binary; tests start the binary itself.
binary=$("$scratch/venv/bin/python" -c 'import duckdb_cli, os; print(os.path.join(os.path.dirname(duckdb_cli.__file__), "duckdb"))')
mkdir -p "$(dirname "$destination")"
install -m 755 "$binary" "$destination.new"
"$destination.new" --version
mv "$destination.new" "$destination"
