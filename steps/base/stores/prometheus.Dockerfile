# A real Prometheus from Debian's packages, started and asked by brakeline_stores.prometheus.
ARG FOUNDATION
FROM ${FOUNDATION}
USER 0
COPY opt/ /opt/
RUN ["/opt/brakeline/bin/python", "-m", "compileall", "-q", "/opt/brakeline/lib"]
# The folders that steps mount have no place in a store's volume.
RUN ["/opt/brakeline/bin/python", "-c", "from pathlib import Path; [folder.rmdir() for folder in Path('/state').iterdir()]"]
# Of 512 MiB that compose allows.
ENV GOMEMLIMIT=400MiB
EXPOSE 9090
ENTRYPOINT ["/opt/brakeline/bin/python", "-m", "brakeline_stores.prometheus"]
CMD ["start"]
USER 1001:0
