# make reproduce: every figure of the miniature.  make test: all tests.  Both set up .venv first when it is absent.
# PYTHON=python3.12 chooses another interpreter; TORCH_INDEX=https://download.pytorch.org/whl/cpu saves the CUDA download.

PYTHON ?= python3
CORES ?= all
SNAKEMAKE = .venv/bin/python -m snakemake

.PHONY: reproduce test

reproduce: .venv/ready
	$(SNAKEMAKE) --cores $(CORES)
	@echo "Done: the figures are in results/miniature/figures/"

test: .venv/ready
	.venv/bin/python -m pytest tests

.venv/ready: requirements.lock constraints.lock setup.sh
	PYTHON="$(PYTHON)" sh setup.sh
