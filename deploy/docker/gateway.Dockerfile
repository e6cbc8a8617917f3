# The gateway: HTTP in, jobs out. No model library, no numpy, no compiler.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ARG UV_VERSION=0.13.8
# Of a site without internet: its own package index. Empty: the one that pip and uv know.
ARG INDEX_URL=""
# What has a version is fetched once, whatever becomes of our own source.
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
# A checkout made under a strict umask is still to be read by the image's user, and a root
# that cannot be written cannot be given bytecode later.
RUN rm constraints.txt && chmod -R a+rX,go-w . && python -m compileall -q .

FROM ${PYTHON_IMAGE}
# The volume takes its owner from here; gateway and worker share it.
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
# Last: another revision of the same source is another label and nothing else.
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Longhand gateway" \
    org.opencontainers.image.description="Takes audio over HTTP, answers with transcripts" \
    org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
