# docker build -t dcls .                                           for CPUs, about 700 MB
# docker build -t dcls:cuda --build-arg EXTRAS='[cuda]' .          for NVIDIA's GPUs too (docker run --gpus all)
# docker run --rm -u "$(id -u):$(id -g)" -v "$PWD:/photos" dcls upscale photo.jpg
FROM python:3.13-slim-bookworm AS build
ARG EXTRAS=
WORKDIR /src
COPY . .
RUN python -m venv /opt/dcls \
    && /opt/dcls/bin/pip install --no-cache-dir -c constraints.txt ".${EXTRAS}" \
    && /opt/dcls/bin/python -m compileall -q /opt/dcls

FROM python:3.13-slim-bookworm
COPY --from=build /opt/dcls /opt/dcls
RUN useradd --create-home --uid 10001 dcls
ENV PATH=/opt/dcls/bin:$PATH \
    XDG_CACHE_HOME=/tmp/.cache
USER 10001
WORKDIR /photos
ENTRYPOINT ["dcls"]
CMD ["--help"]
