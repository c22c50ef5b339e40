#!/bin/sh
# Make .venv from requirements.lock, whose hashes pip checks. `make` calls this script; without make, run: sh setup.sh
# PYTHON chooses the interpreter. TORCH_INDEX names an index to take torch from, such as the one of PyTorch's CPU builds.
# TORCH_HASHES=ignore takes a build of torch whose hash the lock does not have. pip's own settings apply.
set -eu

PYTHON=${PYTHON:-python3}
say() { echo "setup: $*" >&2; }
version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }
usable() { case $(version_of "$1") in 3.11 | 3.12 | 3.13) ;; *) return 1 ;; esac; }
advise() { # what to do without a Python that will do: names those that are here
	found=
	for each in python3.13 python3.12 python3.11; do usable "$each" && found="$found $each"; done
	if [ -n "$found" ]; then
		say "Python 3.11, 3.12 or 3.13 will do, and these are here:$found; run: make PYTHON=${found##* } (or PYTHON=${found##* } sh setup.sh)"
	else
		say "Python 3.11, 3.12 or 3.13 will do, and none is on the PATH; install one, or run: PYTHON=/path/to/python3.12 sh setup.sh"
	fi
	exit 1
}

command -v "$PYTHON" >/dev/null || { say "$PYTHON was not found"; advise; }
usable "$PYTHON" || { say "$PYTHON is Python $(version_of "$PYTHON" || echo that does not run)"; advise; }
case $(uname -sm) in
"Linux x86_64") ;;
*) say "this is $(uname -sm), but the locked packages are for Linux x86_64"; exit 1 ;;
esac
free=$(df -Pk . | awk 'NR == 2 { print int($4 / 1024) }')
[ "$free" -ge "${NEED_MB:-4000}" ] || { say "only $free MB are free here, but the environment needs about ${NEED_MB:-4000} MB (8000 with CUDA); free some or clone elsewhere"; exit 1; }

rm -rf .venv
"$PYTHON" -m venv .venv || { say "could not make .venv; on Debian and Ubuntu, run: apt install python3-venv"; exit 1; }
pip_install() { .venv/bin/python -m pip install --quiet --no-compile --disable-pip-version-check "$@"; }
locked() { pip_install --require-hashes --no-deps "$@"; }
fail() { rm -rf .venv; say "$*; .venv is removed: fix the cause and run this again"; exit 1; }

say "installing requirements.lock into .venv (2 GB, 1 to 5 minutes)"
# torch comes first: pip's own settings or TORCH_INDEX decide which build to take, and then its hash is checked.
awk '/^torch==/ { on = 1 } on; on && !/\\$/ { exit }' requirements.lock >.venv/torch.lock
torch=$(sed -n 's/^\(torch==[^ ]*\).*/\1/p' .venv/torch.lock)
if [ "${TORCH_HASHES:-check}" = ignore ]; then
	pip_install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$torch"
else
	.venv/bin/python -m pip download --quiet --disable-pip-version-check ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} --no-deps --dest .venv/torch "$torch" &&
		locked --no-index --find-links .venv/torch -r .venv/torch.lock && rm -r .venv/torch
fi || fail "$torch was not installed${TORCH_INDEX:+ from $TORCH_INDEX}, see above; with TORCH_HASHES=ignore, its hash is not checked"
locked -r requirements.lock || fail "installing failed, see above"
if .venv/bin/python -c 'from importlib.metadata import requires as r; exit("nvidia" not in str(r("torch")))' && [ -z "${TORCH_INDEX:-}" ]; then
	say "installing cuda.lock (3 GB), which torch's CUDA build needs"
	locked -r cuda.lock || fail "installing failed, see above"
fi
# Newer versions of pip also say that decord is not supported on this platform: its wheel bears another tag inside than in its name.
if .venv/bin/python -m pip check | grep -E " requires | has requirement " >&2; then fail "the packages do not fit together, see above"; fi
# pip would compile in one process only. Files for other Python versions do not compile; that is no error.
.venv/bin/python -m compileall -qq -j 0 .venv/lib || true
# librosa compiles for 15 seconds when it is first used: here, or else in every job that starts before the first one is done.
.venv/bin/python -c 'import librosa, numpy; librosa.resample(numpy.zeros(3, "float32"), orig_sr=3, target_sr=2)' 2>/dev/null || true
touch .venv/ready
