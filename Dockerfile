# Two images:
#   docker build --target operator -t scaling-operator:0.1.0 .     the control plane: no torch, no Ray
#   docker build --target trainer  -t scaling-trainer:0.1.0  .     the Ray pods: the driver, torch, Ray
# BASE is any image with Python 3.11, 3.12 or 3.13, its venv module, glibc 2.28 or later, and bash (KubeRay starts
# Ray with it). Every wheel is known by its hash: requirements/*.txt.
ARG BASE=python:3.11-slim-bookworm

# The project as one wheel, built with tools that are known by their hashes too.
FROM ${BASE} AS wheel
# Only while building: where packages come from, and whom to trust, for those who have a mirror or a proxy.
ARG PIP_INDEX_URL
ARG PIP_CERT
ARG PIP_NO_CACHE_DIR=1
COPY requirements/build.txt /requirements/
RUN python3 -m venv /build && /build/bin/pip install --quiet --require-hashes -r /requirements/build.txt
COPY pyproject.toml README.md LICENSE /source/
COPY crds/scaling_api /source/crds/scaling_api
COPY laws/scaling_laws /source/laws/scaling_laws
COPY operator/scaling_operator /source/operator/scaling_operator
COPY trainer/scaling_trainer /source/trainer/scaling_trainer
COPY cli/scaling_cli /source/cli/scaling_cli
RUN /build/bin/pip wheel --quiet --no-build-isolation --no-deps --wheel-dir /wheels /source

# What both images have in common: a fixed user, modules never from the working directory, nothing written but to
# mounted volumes (the modules are compiled when they are installed).
FROM ${BASE} AS runtime
RUN groupadd --gid 10001 scaling \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin scaling
ENV PATH=/opt/scaling/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONNOUSERSITE=1
WORKDIR /
USER 10001:10001

FROM ${BASE} AS operator-venv
ARG PIP_INDEX_URL
ARG PIP_CERT
ARG PIP_NO_CACHE_DIR=1
COPY requirements/operator.txt /requirements/
RUN python3 -m venv /opt/scaling \
 && /opt/scaling/bin/pip install --quiet --require-hashes --only-binary :all: -r /requirements/operator.txt
COPY --from=wheel /wheels /wheels
# The command and the trainer, whose needs are not here, are left out; so are other projects' tests (50 MB).
RUN /opt/scaling/bin/pip install --quiet --no-deps /wheels/*.whl \
 && rm -rf /opt/scaling/lib/python3*/site-packages/scaling_cli /opt/scaling/bin/scaling /opt/scaling/bin/kubectl-scaling \
           /opt/scaling/lib/python3*/site-packages/scaling_trainer \
 && find /opt/scaling/lib -type d -name tests -prune -exec rm -rf {} + \
 && /opt/scaling/bin/pip uninstall --quiet --yes setuptools pip

FROM runtime AS operator
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="scaling-operator" \
      org.opencontainers.image.description="Plans, runs and fits scaling-law experiments on Kubernetes" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=operator-venv /opt/scaling /opt/scaling
ENTRYPOINT ["python", "-m", "scaling_operator"]

FROM ${BASE} AS trainer-venv
ARG PIP_INDEX_URL
ARG PIP_CERT
ARG PIP_NO_CACHE_DIR=1
COPY requirements/trainer.txt /requirements/
RUN python3 -m venv /opt/scaling \
 && /opt/scaling/bin/pip install --quiet --require-hashes --only-binary :all: -r /requirements/trainer.txt
COPY --from=wheel /wheels /wheels
# pip and setuptools stay: torch and Ray look for them.
RUN /opt/scaling/bin/pip install --quiet --no-deps /wheels/*.whl \
 && rm -rf /opt/scaling/lib/python3*/site-packages/scaling_operator

FROM runtime AS trainer
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="scaling-trainer" \
      org.opencontainers.image.description="Driver, training and compression of scaling-law experiments, on Ray" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=trainer-venv /opt/scaling /opt/scaling
CMD ["python", "-m", "scaling_trainer.driver", "--help"]
