# One image for workers, clock, conductor, Flower and the command line, one for trainers. The bases are pinned by tag; put their
# digests here once a registry is at hand (this file was first written without one).

FROM python:3.11.14-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements.txt requirements-dev.txt ./
# what hatchling needs, with the hashes of the lock
RUN awk '/^[a-z]/ {keep = /^(hatchling|packaging|pathspec|pluggy|trove-classifiers)==/} keep' \
      requirements-dev.txt > requirements-build.txt \
 && pip install --require-hashes -r requirements-build.txt
RUN python -m venv /opt/maestrale \
 && /opt/maestrale/bin/pip install --require-hashes -r requirements.txt
# what is inside, for whoever must know (/opt/maestrale/sbom.cdx.json); its maker stays outside
COPY requirements-sbom.txt ./
RUN python -m venv /sbom \
 && /sbom/bin/pip install --require-hashes -r requirements-sbom.txt \
 && /sbom/bin/cyclonedx-py requirements requirements.txt --output-reproducible -o /opt/maestrale/sbom.cdx.json
COPY pyproject.toml README.md LICENSE ./
COPY models models
COPY recipes recipes
COPY producers producers
COPY worker worker
COPY dashboard dashboard
COPY simulator simulator
COPY examples examples
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /dist . \
 && /opt/maestrale/bin/pip install --no-deps /dist/*.whl \
 && install -d -o 10001 -g 10001 -m 0700 /home/maestrale

# `docker compose --profile train`: the same with torch, TRL and llama.cpp. What torch comes with is the
# machine's choice: --build-arg TRAIN_PIP="--index-url ..." takes another build than PyPI's (for GPUs).
FROM build AS train-build
ARG TRAIN_PIP=
COPY requirements-train.txt ./
RUN /opt/maestrale/bin/pip install $TRAIN_PIP -r requirements-train.txt

FROM python:3.11.14-slim-bookworm AS run
# a new volume takes over the owner of the folder it is mounted on
COPY --from=build --chown=10001:10001 /home/maestrale /var/lib/maestrale
ENV PATH=/opt/maestrale/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MAESTRALE_HOME=/var/lib/maestrale \
    MAESTRALE_LOG=json
USER 10001:10001
WORKDIR /var/lib/maestrale
VOLUME /var/lib/maestrale
CMD ["maestrale", "--help"]

FROM run AS trainer
COPY --from=train-build /opt/maestrale /opt/maestrale

FROM run
COPY --from=build /opt/maestrale /opt/maestrale
