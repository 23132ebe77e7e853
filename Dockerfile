# Image of `restorebox serve`; docs/serving.md describes building and running it.

FROM python:3.11-slim-bookworm AS build
# Folder of download.pytorch.org/whl: cpu, or a CUDA version such as cu128
ARG TORCH=cpu
ENV PATH=/opt/restorebox/bin:$PATH \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /opt/restorebox
COPY requirements requirements
# Before the code is copied, so that a change of the code does not repeat the download
RUN grep -E '^torch(vision)?\b' requirements/runtime.txt > torch.txt \
    && pip install --index-url "https://download.pytorch.org/whl/${TORCH}" -r torch.txt
COPY setup.py pyproject.toml README.md LICENSE ./
COPY configs configs
COPY restorebox restorebox
RUN pip wheel --no-deps --wheel-dir dist . \
    && pip install "$(echo dist/restorebox-*.whl)[serve,web]"
# mmengine requires opencv-python, which needs libGL and has the same files as opencv-python-headless
RUN grep '^opencv-python-headless' requirements/runtime.txt > opencv.txt \
    && pip uninstall --yes opencv-python \
    && pip install --no-deps --force-reinstall -r opencv.txt \
    && python -c 'import cv2'

FROM python:3.11-slim-bookworm
RUN useradd --system --no-log-init --no-create-home --user-group --uid 10001 restorebox
COPY --from=build /opt/restorebox /opt/restorebox
# HOME: libraries write caches there; /tmp is the only folder that must be writable
ENV PATH=/opt/restorebox/bin:$PATH \
    HOME=/tmp \
    PYTHONUNBUFFERED=1
WORKDIR /work
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "from http.client import HTTPConnection as C; c = C('127.0.0.1', 8000, timeout=4); c.request('GET', '/health'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["restorebox"]
# The host names are those of a port published on the same machine
CMD ["serve", "--host", "0.0.0.0", "--allow-host", "localhost:8000", "--allow-host", "127.0.0.1:8000"]
