"""Certificates for 127.0.0.1 that tests sign themselves, and what a TLS client learns of them."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key, replaced as one would: key first, then chain."""
    made = folder / f"new-{name}"
    made.mkdir()
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    words += ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*words, "-keyout", made / "key.pem", "-out", made / "chain.pem"], check=True, capture_output=True)
    for file in ("key.pem", "chain.pem"):
        (made / file).replace(folder / file)
    return folder / "chain.pem", folder / "key.pem"


def name_of(connection: ssl.SSLSocket) -> str:
    """The common name in the certificate that a server showed."""
    shown = connection.getpeercert()
    assert shown is not None
    return str(dict(pair[0] for pair in shown["subject"])["commonName"])  # type: ignore[misc]
