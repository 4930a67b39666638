# A real S3 store, SeaweedFS, started and asked by brakeline_stores.seaweedfs.
ARG FOUNDATION
FROM ${FOUNDATION}
USER 0
COPY opt/ /opt/
RUN ["/opt/brakeline/bin/python", "-m", "compileall", "-q", "/opt/brakeline/lib"]
# The folders that steps mount have no place in a store's volume.
RUN ["/opt/brakeline/bin/python", "-c", "from pathlib import Path; [folder.rmdir() for folder in Path('/state').iterdir()]"]
# Of 1 GiB that compose allows; near it the server frees memory rather than take more.
ENV GOMEMLIMIT=640MiB
EXPOSE 8333
ENTRYPOINT ["/opt/brakeline/bin/python", "-m", "brakeline_stores.seaweedfs"]
CMD ["start"]
USER 1001:0
