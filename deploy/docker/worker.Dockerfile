# A worker: audio in, transcript out. One image runs on GPUs and on CPUs. EXTRAS decides what is in
# it: "worker cuda" (the default) has the CUDA libraries that CTranslate2 calls, "worker" leaves them
# out, "worker whisper" adds openai-whisper and torch, "worker diarization" adds pyannote.audio,
# alignment of words and whisperx, with torch.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ARG UV_VERSION=0.13.8
# The package index of a site without internet. Empty: the usual one of pip and uv.
ARG INDEX_URL=""
RUN python -m venv /opt/uv && /opt/uv/bin/pip install --quiet --no-cache-dir \
        ${INDEX_URL:+--index-url "${INDEX_URL}"} "uv==${UV_VERSION}" \
    && python -m venv --without-pip /opt/longhand
WORKDIR /app
COPY pyproject.toml constraints.txt ./
ARG EXTRAS="worker cuda"
RUN --mount=type=cache,target=/root/.cache/uv UV_LINK_MODE=copy \
    /opt/uv/bin/uv pip install --python /opt/longhand/bin/python --compile-bytecode \
    ${INDEX_URL:+--default-index "${INDEX_URL}"} \
    --requirements pyproject.toml $(printf -- '--extra %s ' ${EXTRAS}) --constraints constraints.txt
COPY models/demo models/demo
COPY models/demo-aligner-en models/demo-aligner-en
COPY models/demo-diarization models/demo-diarization
COPY cli cli
COPY longhand longhand
COPY shared shared
COPY worker worker
RUN rm pyproject.toml constraints.txt && chmod -R a+rX,go-w . && python -m compileall -q .

FROM ${PYTHON_IMAGE}
# Volumes get these folders' owner; storage is shared with the gateway.
RUN groupadd --gid 10001 longhand \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/longhand --no-create-home \
        --shell /usr/sbin/nologin longhand \
    && install -d -m 0755 /var/lib/longhand \
    && cd /var/lib/longhand \
    && install -d -m 0750 -o longhand -g longhand storage scratch models huggingface
COPY --from=build /opt/longhand /opt/longhand
COPY --from=build /app /app
RUN ln -s /app/longhand /usr/local/bin/longhand
WORKDIR /app
# CTranslate2 opens cuBLAS and cuDNN by name, but the wheels put them outside the library path.
ENV PATH=/opt/longhand/bin:$PATH \
    LD_LIBRARY_PATH=/opt/longhand/lib/python3.11/site-packages/nvidia/cublas/lib:/opt/longhand/lib/python3.11/site-packages/nvidia/cudnn/lib \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/var/lib/longhand \
    HF_HOME=/var/lib/longhand/huggingface \
    LONGHAND_MODELS_DIR=/var/lib/longhand/models \
    LONGHAND_SCRATCH_DIR=/var/lib/longhand/scratch \
    LONGHAND_STORAGE_DIR=/var/lib/longhand/storage
USER 10001:10001
# A first start may download its model, which may take long.
HEALTHCHECK --interval=5s --timeout=10s --start-period=1800s --retries=12 \
    CMD ["python", "-m", "worker.health"]
CMD ["python", "-m", "worker"]
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Longhand worker" \
    org.opencontainers.image.description="Takes jobs from a queue and transcribes them" \
    org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
