# Locked packages on a rung, compiled: without their .pyc a step would start seconds later.
ARG PARENT
FROM ${PARENT}
USER 0
COPY opt/ /opt/
RUN ["/opt/brakeline/bin/python", "-m", "compileall", "-q", "-j", "0", "/opt/brakeline/lib"]
USER 1001:0
