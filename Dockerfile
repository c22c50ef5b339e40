# All of avflow, with the packages of the locks: docker build -t avflow .
# docs/environments.md says how to run it.
FROM python:3.11.13-slim-bookworm
ARG TORCH_INDEX=
WORKDIR /opt/avflow
COPY setup.sh requirements.lock cuda.lock ./
RUN NEED_MB=8000 PIP_NO_CACHE_DIR=1 TORCH_INDEX="$TORCH_INDEX" sh setup.sh
COPY . .
ENV USER=avflow
WORKDIR /study
ENTRYPOINT ["/opt/avflow/.venv/bin/python", "-m", "snakemake", "--snakefile", "/opt/avflow/Snakefile"]
CMD ["--cores", "all"]
