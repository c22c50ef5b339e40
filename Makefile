# make reproduce    every figure and table of the miniature
# make report       the same, in one page
# make test         all tests
# make test-fast    all unit tests without Snakemake, under a minute
# make test-slurm   tests on a real Slurm of one node; installs it as root on Debian or Ubuntu, is skipped elsewhere
# make lint         linters
# make docs         the documentation as a site in site/
# make ship         the shipped tables, from a fresh run
# make pictures     the figures in docs/, from the shipped tables
# make pins         the pin files of the conda environments
# make Dockerfile   an image with the conda environments
#
# Each target first sets up .venv if it is missing. PYTHON=python3.12 chooses another interpreter.
# TORCH_INDEX=https://download.pytorch.org/whl/cpu avoids the CUDA download.

PYTHON ?= python3
CORES ?= all
SNAKEMAKE = .venv/bin/python -m snakemake

.PHONY: reproduce test test-fast test-slurm report ship pictures lint docs pins Dockerfile

PICTURES = fig3 fig4 fig5 fig6 app_resample

reproduce: .venv/ready
	$(SNAKEMAKE) --cores $(CORES) --prioritize fig4
	@echo "Done: the figures are in results/miniature/figures/"

report: reproduce
	$(SNAKEMAKE) --cores $(CORES) --report results/miniature/report.html
	@echo "Done: open results/miniature/report.html in a browser (no network needed)"

ship: reproduce
	$(SNAKEMAKE) app_conflict app_sinks --cores $(CORES)
	.venv/bin/python workflow_scripts/ship.py --results results/miniature --out figures/shipped
	.venv/bin/python workflow_scripts/specimen.py --tables results/miniature/tables --shipped figures/shipped/tables \
		--claims resources/claims/miniature.yaml --out resources/claims/miniature_specimen.parquet

pictures: .venv/ready
	$(SNAKEMAKE) $(PICTURES) --cores $(CORES) --config tables=shipped
	.venv/bin/python workflow_scripts/docs_pictures.py --out docs $(PICTURES)

test: .venv/ready
	.venv/bin/python -m pytest tests --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-fast: .venv/ready
	OMP_NUM_THREADS=1 .venv/bin/python -m pytest tests --ignore tests/workflow --ignore tests/slurm -m "not slow" \
		--numprocesses 2 --dist loadfile --no-loadscope-reorder

test-slurm: .venv/ready
	.venv/bin/python -m pytest tests/slurm -rs

lint: .venv/ready
	.venv/bin/python -m ruff check .
	.venv/bin/python -m ruff format --check .
	.venv/bin/python -m snakefmt --check Snakefile rules
	PYTHONPATH=workflow_scripts .venv/bin/lint-imports --no-logo --no-cache
	$(SNAKEMAKE) --lint

docs: .venv/ready
	NO_MKDOCS_2_WARNING=1 .venv/bin/python -m mkdocs build --quiet
	@echo "Done: open site/index.html in a browser (no network needed)"

pins: .venv/ready
	.venv/bin/python envs/pin.py

# Images are built without a GPU, so the CUDA version is set here. It is that of envs/pin.py.
Dockerfile: .venv/ready
	$(SNAKEMAKE) --containerize > Dockerfile.part
	sed '1a ENV CONDA_OVERRIDE_CUDA=13.0' Dockerfile.part > Dockerfile
	rm Dockerfile.part

.venv/ready: requirements.lock constraints.lock setup.sh
	PYTHON="$(PYTHON)" sh setup.sh
