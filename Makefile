# make reproduce: every figure of the miniature.  make report: all in one page.  make test: all tests.  All set up .venv first when it is absent.
# make test-slurm: the workflow on a real Slurm of one node, which root on Debian or Ubuntu gets installed; skipped elsewhere.
# PYTHON=python3.12 chooses another interpreter; TORCH_INDEX=https://download.pytorch.org/whl/cpu saves the CUDA download.

PYTHON ?= python3
CORES ?= all
SNAKEMAKE = .venv/bin/python -m snakemake

.PHONY: reproduce test test-slurm report publish

reproduce: .venv/ready
	$(SNAKEMAKE) --cores $(CORES)
	@echo "Done: the figures are in results/miniature/figures/"

report: reproduce
	$(SNAKEMAKE) --cores $(CORES) --report results/miniature/report.html
	@echo "Done: open results/miniature/report.html in a browser; it needs no network"

publish: reproduce
	.venv/bin/python workflow_scripts/publish.py --results results/miniature --out figures/published

test: .venv/ready
	.venv/bin/python -m pytest tests --numprocesses 2 --dist loadfile

test-slurm: .venv/ready
	.venv/bin/python -m pytest tests/slurm -rs

.venv/ready: requirements.lock constraints.lock setup.sh
	PYTHON="$(PYTHON)" sh setup.sh
