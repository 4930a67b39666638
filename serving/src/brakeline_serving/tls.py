"""The server's certificate, read again when its files change: connections made from then on get the new one."""

import ssl
from pathlib import Path
from typing import Any

from brakeline_serving import diary
from brakeline_serving.errors import BadSecret
from brakeline_serving.guard import stamp_of
from brakeline_serving.settings import Secrets


class Certificate:
    """A certificate chain and its key, in a context that handshakes are made with."""

    def __init__(self, chain: Path, key: Path) -> None:
        """Raises BadSecret for files that are no certificate with its key."""
        self.chain, self.key = chain, key
        self._stamps = (stamp_of(chain), stamp_of(key))
        self.context = self._read()

    @classmethod
    def of(cls, secrets: Secrets) -> "Certificate | None":
        """The certificate, where there is one."""
        if secrets.certificate is None or secrets.key is None:
            return None
        return cls(secrets.certificate, secrets.key)

    def refresh(self) -> bool:
        """Follow the files: True if another certificate is used from now on. What is wrong is reported, not used."""
        stamps = (stamp_of(self.chain), stamp_of(self.key))
        if stamps == self._stamps:
            return False
        self._stamps = stamps
        try:
            self._read()
        except BadSecret as error:
            diary.warn("certificate_kept", message=str(error))
            return False
        self.context.load_cert_chain(self.chain, self.key)
        diary.note("certificate_changed", file=self.chain)
        return True

    def for_grpc(self) -> Any:
        """The same for gRPC's library, which asks for it at each handshake."""
        import grpc  # noqa: PLC0415  only where gRPC is wanted

        def configuration() -> Any:
            pair = (self.key.read_bytes(), self.chain.read_bytes())
            return grpc.ssl_server_certificate_configuration([pair])

        given: list[Any] = [self._stamps]

        def changed() -> Any:
            if given[0] == self._stamps:
                return None
            given[0] = self._stamps
            return configuration()

        return grpc.dynamic_ssl_server_credentials(configuration(), changed)

    def _read(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self.chain, self.key)
        except OSError as error:
            raise BadSecret(self.chain, f"no certificate with its key: {error}") from error
        return context
