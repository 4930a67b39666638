"""How a server is reached: whom to trust, and which token to show to whom."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import certifi
from stepkit.errors import UsageError

# What a pod is given (OpenShift puts the authority of its services' certificates there as well).
POD_FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
POD_TOKEN, POD_AUTHORITIES = POD_FOLDER / "token", (POD_FOLDER / "service-ca.crt", POD_FOLDER / "ca.crt")
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True)
class Access:
    """Files of a bearer token and of certificates to trust beside the usual ones; None where there is none."""

    token_file: Path | None = None
    ca_bundle: Path | None = None

    def headers(self, url: str) -> dict[str, str]:
        """The token, read anew, for a URL that nobody else can listen to; nothing for any other. Raises UsageError."""
        parts = urlsplit(url)
        if self.token_file is None or (parts.scheme != "https" and parts.hostname not in _LOOPBACK):
            return {}
        try:
            token = self.token_file.read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is no text of a token"
            raise UsageError(f"--token-file: cannot read {self.token_file}: {reason}") from error
        if not token or not token.isprintable() or " " in token:
            # A client's refusal of such a header would tell all of it.
            told = f"--token-file: {self.token_file} holds no token: allowed one line of printable characters"
            raise UsageError(told, file=self.token_file)
        return {"Authorization": f"Bearer {token}"}

    def context(self) -> ssl.SSLContext:
        """Whom to trust: the usual authorities, those of the pod, and the bundle's. Raises UsageError."""
        context = ssl.create_default_context()
        context.load_verify_locations(certifi.where())
        for file in POD_AUTHORITIES:
            if file.is_file():
                context.load_verify_locations(file)
        if self.ca_bundle:
            try:
                context.load_verify_locations(self.ca_bundle)
            except OSError as error:  # ssl's errors are among them
                reason = error.strerror or str(error)
                raise UsageError(f"--ca-bundle: cannot read certificates from {self.ca_bundle}: {reason}") from error
        return context


def access(token_file: str, ca_bundle: str) -> Access:
    """As the command line names the files."""
    return Access(Path(token_file) if token_file else None, Path(ca_bundle) if ca_bundle else None)
