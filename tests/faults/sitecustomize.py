"""What goes wrong in tests, put into jobs from outside: every Python whose PYTHONPATH holds this folder imports it at its start.

FAULTS is a JSON list of {"in": words that the command line holds, and what happens in such a process}:
  "until": [p, n]   it stays at its end until n files fit the pattern p, three minutes at most
  "stuck": n        it stays three minutes at most once a file to which it adds records holds more than n bytes
  "memory_mb": n    it seems to use n MB: pages of 100 MB mapped over and over, which Slurm counts every time
  "once": file      only to the first such process, which makes the file
"""

import atexit
import glob
import json
import mmap
import os
import sys
import time


def stay(pattern, count):
    end = time.monotonic() + 180
    while len(glob.glob(pattern)) < count and time.monotonic() < end:
        time.sleep(0.1)


def stuck(size):
    real = os.fsync

    def fsync(file):
        real(file)
        if os.fstat(file).st_size > size:
            time.sleep(180)

    os.fsync = fsync


def use(megabytes):
    pages = os.memfd_create("pages")
    os.truncate(pages, 100 << 20)
    return [mmap.mmap(pages, 100 << 20, mmap.MAP_SHARED | mmap.MAP_POPULATE) for _ in range(megabytes // 100)]


def first(path) -> bool:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


for fault in json.loads(os.environ.get("FAULTS", "[]")):
    if "snakemake" not in sys.orig_argv and fault["in"] in " ".join(sys.orig_argv):
        if "once" in fault and not first(fault["once"]):
            continue
        if "until" in fault:
            atexit.register(stay, *fault["until"])
        if "stuck" in fault:
            stuck(fault["stuck"])
        if "memory_mb" in fault:
            used = use(fault["memory_mb"])
