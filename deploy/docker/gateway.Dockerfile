# The gateway: HTTP in, jobs out. No model library, no numpy, no compiler.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ARG UV_VERSION=0.13.8
# The package index of a site without internet. Empty: the usual one of pip and uv.
ARG INDEX_URL=""
# Packages first: a change of our own source does not download them again.
RUN python -m venv /opt/uv && /opt/uv/bin/pip install --quiet --no-cache-dir \
        ${INDEX_URL:+--index-url "${INDEX_URL}"} "uv==${UV_VERSION}" \
    && python -m venv --without-pip /opt/longhand
WORKDIR /app
COPY pyproject.toml constraints.txt ./
RUN --mount=type=cache,target=/root/.cache/uv UV_LINK_MODE=copy \
    /opt/uv/bin/uv pip install --python /opt/longhand/bin/python --compile-bytecode \
    ${INDEX_URL:+--default-index "${INDEX_URL}"} \
    --requirements pyproject.toml --extra gateway --constraints constraints.txt
COPY shared shared
COPY gateway gateway
# The image's user must be able to read files of a checkout with a strict umask. Bytecode is
# compiled here, because the root file system cannot be written later.
RUN rm constraints.txt && chmod -R a+rX,go-w . && python -m compileall -q .

FROM ${PYTHON_IMAGE}
# The volume gets this folder's owner; gateway and worker share it.
RUN groupadd --gid 10001 longhand \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/longhand --no-create-home \
        --shell /usr/sbin/nologin longhand \
    && install -d -m 0755 /var/lib/longhand \
    && install -d -m 0750 -o longhand -g longhand /var/lib/longhand/storage
COPY --from=build /opt/longhand /opt/longhand
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/opt/longhand/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    LONGHAND_HOST=0.0.0.0 \
    LONGHAND_PORT=8499 \
    LONGHAND_STORAGE_DIR=/var/lib/longhand/storage
USER 10001:10001
EXPOSE 8499
HEALTHCHECK --interval=3s --timeout=5s --start-period=60s --retries=10 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8499/health/ready', timeout=4)"]
CMD ["python", "-m", "gateway"]
# Last, so that another revision of the same source changes only the label.
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Longhand gateway" \
    org.opencontainers.image.description="Takes audio over HTTP, answers with transcripts" \
    org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
