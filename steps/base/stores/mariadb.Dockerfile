# A real MariaDB from Debian's packages, started and asked by brakeline_stores.mariadb.
ARG FOUNDATION
FROM ${FOUNDATION}
USER 0
COPY opt/ /opt/
RUN ["/opt/brakeline/bin/python", "-m", "compileall", "-q", "/opt/brakeline/lib"]
# The folders that steps mount have no place in a store's volume.
RUN ["/opt/brakeline/bin/python", "-c", "from pathlib import Path; [folder.rmdir() for folder in Path('/state').iterdir()]"]
EXPOSE 3306
ENTRYPOINT ["/opt/brakeline/bin/python", "-m", "brakeline_stores.mariadb"]
CMD ["start"]
USER 1001:0
