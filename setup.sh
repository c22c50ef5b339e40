#!/bin/sh
# Make .venv from requirements.lock: `make` calls this, and without make it runs by itself: sh setup.sh
# PYTHON chooses the interpreter, TORCH_INDEX an index to look for torch in first. pip's own settings are respected.
set -eu

PYTHON=${PYTHON:-python3}
say() { echo "setup: $*" >&2; }

command -v "$PYTHON" >/dev/null || { say "$PYTHON is not there; install Python 3.11 or 3.12, or run: PYTHON=/path/to/python3.12 sh setup.sh"; exit 1; }
version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
case $version in
3.11 | 3.12) ;;
*) say "$PYTHON is Python $version; Python 3.11 or 3.12 is needed: PYTHON=/path/to/python3.12 sh setup.sh (or make PYTHON=...)"; exit 1 ;;
esac
free=$(df -Pk . | awk 'NR == 2 { print int($4 / 1024) }')
[ "$free" -ge "${NEED_MB:-4000}" ] || { say "$free MB are free here and the environment needs about ${NEED_MB:-4000} MB (8000 with CUDA); free some or clone elsewhere"; exit 1; }

rm -rf .venv
"$PYTHON" -m venv .venv || { say "no venv could be made; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
say "installing requirements.lock into .venv (2 GB, 1 to 5 minutes)"
if [ -n "${TORCH_INDEX:-}" ]; then
	.venv/bin/python -m pip install --quiet --no-compile --disable-pip-version-check --index-url "$TORCH_INDEX" "$(grep '^torch==' requirements.lock)"
fi
.venv/bin/python -m pip install --quiet --no-compile --disable-pip-version-check -r requirements.lock -c constraints.lock ||
	{ rm -rf .venv; say "installing failed, see above; nothing half-made is left"; exit 1; }
# pip compiles in one process; files that are meant for another Python do not compile, which is nobody's error.
.venv/bin/python -m compileall -qq -j 0 .venv/lib || true
touch .venv/ready
