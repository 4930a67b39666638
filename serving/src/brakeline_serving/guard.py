"""Who may ask: a bearer token from a file, read again when the file changes."""

import hmac
from pathlib import Path

from brakeline_serving import diary
from brakeline_serving.errors import BadSecret, Unauthorized

_SCHEME = b"bearer "


def stamp_of(path: Path) -> tuple[int, int, int] | None:
    """What tells a file's content from its earlier one; None without a file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size


class Guard:
    """Checks the token, where there is one."""

    def __init__(self, token_file: Path | None = None) -> None:
        """Raises BadSecret for a file that cannot be read or holds none."""
        self._file = token_file
        self._token: bytes | None = None
        self._stamp: tuple[int, int, int] | None = None
        if token_file is not None:
            self._stamp = stamp_of(token_file)
            self._token = _read(token_file)

    def check(self, authorization: bytes | None) -> None:
        """Raises Unauthorized unless the header (or there being no token) lets the request in."""
        if self._token is None:
            return
        if authorization is None:
            raise Unauthorized("none")
        if authorization[: len(_SCHEME)].lower() != _SCHEME:
            raise Unauthorized("another scheme")
        if not hmac.compare_digest(authorization[len(_SCHEME) :].strip(), self._token):
            raise Unauthorized("another token")

    def lets_in(self, authorization: bytes | None) -> bool:
        """Whether `check` would raise nothing."""
        try:
            self.check(authorization)
        except Unauthorized:
            return False
        return True

    def refresh(self) -> None:
        """Follow the file; what cannot be read leaves the token as it is, which is reported."""
        if self._file is None or (stamp := stamp_of(self._file)) == self._stamp:
            return
        self._stamp = stamp
        try:
            self._token = _read(self._file)
        except BadSecret as error:
            diary.warn("token_kept", message=str(error))
        else:
            diary.note("token_changed", file=self._file)


def _read(file: Path) -> bytes:
    try:
        token = file.read_bytes().strip()
    except OSError as error:
        raise BadSecret(file, str(error.strerror or error)) from error
    if not token:
        raise BadSecret(file, "found nothing, allowed one line")
    return token
