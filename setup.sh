#!/bin/sh
# Make .venv from requirements.lock. `make` calls this script; without make, run: sh setup.sh
# PYTHON chooses the interpreter. TORCH_INDEX names an index to install torch from first. pip's own settings apply.
set -eu

PYTHON=${PYTHON:-python3}
say() { echo "setup: $*" >&2; }

command -v "$PYTHON" >/dev/null || { say "$PYTHON was not found; install Python 3.11 or 3.12, or run: PYTHON=/path/to/python3.12 sh setup.sh"; exit 1; }
version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
case $version in
3.11 | 3.12) ;;
*) say "$PYTHON is Python $version, but 3.11 or 3.12 is needed; run: PYTHON=/path/to/python3.12 sh setup.sh (or make PYTHON=...)"; exit 1 ;;
esac
free=$(df -Pk . | awk 'NR == 2 { print int($4 / 1024) }')
[ "$free" -ge "${NEED_MB:-4000}" ] || { say "only $free MB are free here, but the environment needs about ${NEED_MB:-4000} MB (8000 with CUDA); free some or clone elsewhere"; exit 1; }

rm -rf .venv
"$PYTHON" -m venv .venv || { say "could not make .venv; on Debian and Ubuntu, run: apt install python3-venv"; exit 1; }
say "installing requirements.lock into .venv (2 GB, 1 to 5 minutes)"
if [ -n "${TORCH_INDEX:-}" ]; then
	.venv/bin/python -m pip install --quiet --no-compile --disable-pip-version-check --index-url "$TORCH_INDEX" "$(grep '^torch==' requirements.lock)"
fi
.venv/bin/python -m pip install --quiet --no-compile --disable-pip-version-check -r requirements.lock -c constraints.lock ||
	{ rm -rf .venv; say "installing failed, see above; .venv is removed: fix the cause and run this again"; exit 1; }
# pip would compile in one process only. Files for other Python versions do not compile; that is no error.
.venv/bin/python -m compileall -qq -j 0 .venv/lib || true
touch .venv/ready
