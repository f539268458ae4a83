#!/usr/bin/env bash
# usage: tools/pyarrow.sh DESTINATION
# Makes a Python environment at DESTINATION with Arrow's own Flight client, which reads from a
# shuffle server in `make test-flight`.
set -euo pipefail
destination=$1
cd "$(dirname "$0")/.."

tools/need.sh python3 python3 python3-venv
python3 -c 'import ensurepip' 2>/dev/null || tools/need.sh "Python's module ensurepip" python3-venv

rm -rf "$destination"
python3 -m venv "$destination"
"$destination/bin/pip" install --quiet --disable-pip-version-check --no-input pyarrow==26.0.1
"$destination/bin/python" -c 'import pyarrow, pyarrow.flight; print("pyarrow", pyarrow.__version__)'
