# make reproduce    every figure and table of the miniature
# make report       the same, in one page
# make test         all tests
# make test-fast    the quick half of the unit tests, without Snakemake, in a minute
# make test-gpu     the miniature in small on a GPU, its tables held to the shipped ones
# make test-slurm   tests on a real Slurm of one node; installs it as root on Debian or Ubuntu, is skipped elsewhere
# make lint         linters
# make docs         the documentation as a site in site/
# make ship         the shipped tables, from a fresh run
# make archive      the tables of STUDY=miniature as a zip for Zenodo, in archives/
# make pictures     the figures in docs/, from the shipped tables
# make lock         the locks and the conda environments, from requirements.in; needs uv
#
# Each target first sets up .venv if it is missing. PYTHON=python3.12 chooses another interpreter.
# TORCH_INDEX=https://download.pytorch.org/whl/cpu avoids the CUDA download.

PYTHON ?= python3
CORES ?= all
STUDY ?= miniature
# Processes side by side share what Python has compiled, even where PYTHONDONTWRITEBYTECODE is set.
SNAKEMAKE = PYTHONDONTWRITEBYTECODE= .venv/bin/python -m snakemake
TESTING = PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 .venv/bin/python -m pytest

.PHONY: reproduce test test-fast test-gpu test-slurm report ship archive pictures lint docs lock

PICTURES = fig3 fig4 fig5 fig6 app_resample app_discard_layers

reproduce: .venv/ready
	$(SNAKEMAKE) --cores $(CORES) --prioritize fig4
	@echo "Done: the figures are in results/miniature/figures/"

report: reproduce
	$(SNAKEMAKE) --cores $(CORES) --report results/miniature/report.html
	@echo "Done: open results/miniature/report.html in a browser (no network needed)"

ship: reproduce
	$(SNAKEMAKE) app_conflict app_sinks app_heads app_where --cores $(CORES)
	.venv/bin/python workflow_scripts/ship.py --results results/miniature --out figures/shipped
	.venv/bin/python workflow_scripts/specimen.py --tables results/miniature/tables --shipped figures/shipped/tables \
		--claims resources/claims/miniature.yaml --out resources/claims/miniature_specimen.parquet

archive: .venv/ready
	.venv/bin/python workflow_scripts/archive.py --results results/$(STUDY) --study $(STUDY) --out archives

pictures: .venv/ready
	$(SNAKEMAKE) $(PICTURES) --cores $(CORES) --config tables=shipped
	.venv/bin/python workflow_scripts/docs_pictures.py --out docs $(PICTURES)

test: .venv/ready
	$(TESTING) tests --numprocesses 3 --dist loadfile --no-loadscope-reorder

test-fast: .venv/ready
	$(TESTING) tests --ignore tests/workflow --ignore tests/slurm -m "not slow" --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-gpu: .venv/ready
	.venv/bin/python tests/gpu/run.py

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

lock: .venv/ready
	.venv/bin/python envs/lock.py
	.venv/bin/python envs/update.py

.venv/ready: requirements.lock cuda.lock setup.sh
	PYTHON="$(PYTHON)" sh setup.sh
