"""A version's signature with a private key: OpenSSF model-signing, over every file of the kept model.

`.lineage.json` is not covered. The same model made again by other code is the same version, and a signature of its
bytes must hold for it; where it comes from is told by the kept lineage, whose sha256 the registry has.
"""

import contextlib
import hashlib
import io
from datetime import UTC, datetime
from pathlib import Path

from stepkit import diary, ending, lineage
from stepkit.errors import UsageError

from brakeline_register import keeping
from brakeline_register.registry import Paper, Registry, Version

KEY_VARIABLE = "BRAKELINE_SIGNING_KEY"


def sign(model: Path, key: Path) -> bytes:
    """The signature of a model's folder, a Sigstore bundle as JSON. Raises UsageError for a key that is none.

    The key is PEM, on curve P-256, P-384 or P-521, and not encrypted: whoever mounts it keeps it.
    """
    from model_signing import hashing, signing  # noqa: PLC0415  takes a second to load

    covered, config = hashing.Config(), signing.Config()  # type: ignore[no-untyped-call]
    covered.set_ignored_paths(paths=[lineage.FILE], ignore_git_paths=False)
    try:
        signer = config.use_elliptic_key_signer(private_key=key).set_hashing_config(covered)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise _no_key(key, error) from error
    with ending.scratch() as scratch:
        file = scratch / "signature.json"
        signer.sign(model, file)
        return file.read_bytes()


def sign_kept(registry: Registry, version: Version, key: Path, by: str) -> Version:
    """Sign a version that was registered without a signature of this key, on record with who and when.

    One that holds stands, and is recorded where it was not. The signatures before stay where they are. Raises
    UsageError, and as `keeping.bring`.
    """
    with ending.scratch() as scratch:
        model = scratch / "model"
        keeping.bring(version, model)
        standing = keeping.find_signature(version)
        holds = standing is not None and _holds(model, standing, key)
        if standing and holds:
            content, uri = standing, keeping.signature_uri(version)
        else:
            content = sign(model, key)
            uri = keeping.keep_later(version, keeping.SIGNATURE, content)
            diary.note("signed", version=version.version, instead_of_another=standing is not None)
    why = "signed later" if standing is None or holds else "signed again: the one before is of another key or content"
    now = datetime.now(UTC).isoformat(timespec="seconds")
    paper = Paper(uri, hashlib.sha256(content).hexdigest(), by, now, why)
    return registry.add_paper(version.model, version.version, keeping.SIGNATURE, paper)


def _holds(model: Path, signature: bytes, key: Path) -> bool:
    """Whether a signature is of this key and covers what is in the folder."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from model_signing import verifying  # noqa: PLC0415

    try:
        private = serialization.load_pem_private_key(key.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise _no_key(key, error) from error
    config = verifying.Config()  # type: ignore[no-untyped-call]
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    with ending.scratch() as scratch:
        public, signed = scratch / "public.pem", scratch / "signature.json"
        public.write_bytes(private.public_key().public_bytes(serialization.Encoding.PEM, form))
        signed.write_bytes(signature)
        try:
            # It has a word to say of old signatures, and stdout is the result's.
            with contextlib.redirect_stdout(io.StringIO()):
                config.use_elliptic_key_verifier(public_key=public).verify(model, signed)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, InvalidSignature):
            return False
    return True


def _no_key(key: Path, error: Exception) -> UsageError:
    # Not the library's words: they may quote what is in the file.
    reason = error.strerror if isinstance(error, OSError) else "it cannot be read as one"
    return UsageError(
        f"--signing-key: {key}: {reason}; allowed a private key in PEM, not encrypted, on P-256, P-384 or P-521:"
        " openssl ecparam -name prime256v1 -genkey -noout -out key.pem",
        found=key,
    )
