# The base's own Python as an environment at /opt/brakeline, and what holds in every image: no shell needed to run it,
# any user with group 0, scratch in /tmp alone.
ARG BASE
FROM ${BASE}
USER 0
COPY prepare.py /opt/brakeline/
RUN ["python3", "/opt/brakeline/prepare.py"]
ENV PATH=/opt/brakeline/bin:/usr/local/bin:/usr/bin HOME=/tmp USER=brakeline LOGNAME=brakeline LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
WORKDIR /tmp
ENTRYPOINT []
USER 1001:0
