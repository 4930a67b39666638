"""gzip and deflate (which is zlib's format) of bodies, in both directions and within the limits of plain ones."""

import zlib

from brakeline_serving.errors import BodyTooLarge, EncodingNotSupported, Malformed

LEAST_BYTES = 512  # below it a reply is sent as it is: compressing would cost more than it saves
_WINDOW = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
_LEVEL = 1


def unpack(encoding: bytes, body: bytes, most_bytes: int) -> bytes:
    """The body as it was before it was compressed.

    Raises EncodingNotSupported, Malformed, and BodyTooLarge as soon as it grows beyond `most_bytes`.
    """
    name = encoding.decode("latin-1").strip().lower()
    if name in ("", "identity"):
        return body
    if name not in _WINDOW:
        raise EncodingNotSupported(name)
    unpacker = zlib.decompressobj(_WINDOW[name])
    try:
        plain = unpacker.decompress(body, most_bytes + 1)
    except zlib.error as error:
        raise Malformed(f"{name} body", str(error)) from error
    if len(plain) > most_bytes:
        raise BodyTooLarge(most_bytes)
    if not unpacker.eof or unpacker.unused_data:
        raise Malformed(f"{name} body", "it is cut off" if not unpacker.eof else "bytes follow its end")
    return plain


def pack(accepted: bytes, body: bytes) -> tuple[bytes, bytes]:
    """The body in the encoding that a client likes best, and the header lines that say so (none if it is plain)."""
    if len(body) < LEAST_BYTES:
        return body, b""
    encoding = _best(accepted.decode("latin-1").lower())
    if encoding is None:
        return body, b""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW[encoding])
    lines = f"Content-Encoding: {encoding}\r\nVary: Accept-Encoding\r\n".encode()
    return packer.compress(body) + packer.flush(), lines


def _best(accepted: str) -> str | None:
    weights: dict[str, float] = {}
    for entry in accepted.split(","):
        name, _, parameter = entry.partition(";")
        try:
            weights[name.strip()] = float(parameter.strip().removeprefix("q=") or 1.0)
        except ValueError:
            weights[name.strip()] = 0.0
    known = [(weights.get(name, 0.0), name) for name in ("gzip", "deflate")]
    weight, name = max(known, key=lambda entry: entry[0])
    return name if weight > 0.0 and weight >= weights.get("identity", 0.0) else None
