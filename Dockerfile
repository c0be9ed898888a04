# Two images:
#   docker build --target operator -t scaling-operator:0.1.0 .     the control plane: no torch, no Ray
#   docker build --target trainer  -t scaling-trainer:0.1.0  .     the Ray pods: the driver, torch, Ray
# BASE is any image with Python 3.11, 3.12 or 3.13, its venv module, glibc 2.28 or later, and bash (KubeRay starts
# Ray with it). Every wheel is known by its hash: requirements/*.txt.
ARG BASE=python:3.11-slim-bookworm

# What builds, itself known by its hashes. Nothing of it is in an image but what is copied out.
FROM ${BASE} AS tools
USER 0:0
# Only while building: where packages come from, and whom to trust, for those who have a mirror or a proxy.
ARG PIP_INDEX_URL
ARG PIP_CERT
ARG PIP_NO_CACHE_DIR=1
COPY requirements/build.txt /requirements/
RUN python3 -m venv /build && /build/bin/pip install --quiet --require-hashes -r /requirements/build.txt

# The project as one wheel.
FROM tools AS wheel
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
USER 0:0
RUN groupadd --gid 10001 scaling \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin scaling
# HOME and USER also for a user that a cluster makes up, who is in no /etc/passwd.
ENV PATH=/opt/scaling/bin:/usr/local/bin:/usr/bin:/bin HOME=/tmp USER=scaling \
    PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONNOUSERSITE=1
WORKDIR /
USER 10001:10001

# What the project needs and the project itself are layers of their own: a new version of it is a few megabytes.
FROM tools AS operator-venv
ARG PIP_INDEX_URL
ARG PIP_CERT
ARG PIP_NO_CACHE_DIR=1
COPY requirements/operator.txt /requirements/
# Other projects' tests are left out (50 MB).
RUN python3 -m venv --without-pip /opt/scaling \
 && /build/bin/pip --python /opt/scaling/bin/python install --quiet --require-hashes --only-binary :all: \
        -r /requirements/operator.txt \
 && find /opt/scaling/lib -type d -name tests -prune -exec rm -rf {} +

FROM operator-venv AS operator-project
COPY --from=wheel /wheels /wheels
# The command and the trainer, whose needs are not here, are left out.
RUN /build/bin/pip --python /opt/scaling/bin/python install --quiet --no-deps --no-warn-script-location \
        --root /project /wheels/*.whl \
 && cd /project/opt/scaling \
 && rm -rf lib/python3*/site-packages/scaling_cli lib/python3*/site-packages/scaling_trainer bin

FROM runtime AS operator
ARG BASE
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="scaling-operator" \
      org.opencontainers.image.description="Plans, runs and fits scaling-law experiments on Kubernetes" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}"
COPY --from=operator-venv /opt/scaling /opt/scaling
COPY --from=operator-project /project/opt/scaling /opt/scaling
ENTRYPOINT ["python", "-m", "scaling_operator"]

FROM tools AS trainer-venv
ARG PIP_INDEX_URL
ARG PIP_CERT
ARG PIP_NO_CACHE_DIR=1
COPY requirements/trainer.txt /requirements/
# pip and setuptools stay: torch and Ray look for them. Archives for linkers and other projects' tests go (300 MB), but
# sympy's: its source is the built-in corpus. The largest packages are put apart, for layers that are pulled at a time.
RUN python3 -m venv /opt/scaling \
 && /opt/scaling/bin/pip install --quiet --require-hashes --only-binary :all: -r /requirements/trainer.txt \
 && cd /opt/scaling/lib/python3*/site-packages \
 && find . -name '*.a' -delete \
 && find . -type d -name tests -not -path './sympy/*' -prune -exec rm -rf {} + \
 && mkdir -p "/cuda$PWD" "/torch$PWD" \
 && mv nvidia "/cuda$PWD" \
 && mv torch triton "/torch$PWD"

FROM trainer-venv AS trainer-project
COPY --from=wheel /wheels /wheels
RUN /opt/scaling/bin/pip install --quiet --no-deps --no-warn-script-location --root /project /wheels/*.whl \
 && rm -rf /project/opt/scaling/lib/python3*/site-packages/scaling_operator

FROM runtime AS trainer
ARG BASE
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="scaling-trainer" \
      org.opencontainers.image.description="Driver, training and compression of scaling-law experiments, on Ray" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}"
# Where some clusters, GKE among them, mount the driver of the GPU.
ENV LD_LIBRARY_PATH=/usr/local/nvidia/lib64
COPY --from=trainer-venv /cuda/opt/scaling /opt/scaling
COPY --from=trainer-venv /torch/opt/scaling /opt/scaling
COPY --from=trainer-venv /opt/scaling /opt/scaling
COPY --from=trainer-project /project/opt/scaling /opt/scaling
CMD ["python", "-m", "scaling_trainer.driver", "--help"]
