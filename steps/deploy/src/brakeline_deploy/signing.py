"""Only what is signed is served, where a public key is named: OpenSSF model-signing, over the model's folder.

The signature travels in the registration; it covers every file but the hidden `.lineage.json`, and no name of a folder.
"""

import contextlib
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stepkit import diary, ending
from stepkit.errors import Refused, UsageError

KEY_VARIABLE = "BRAKELINE_VERIFY_KEY"


def require_signed(registered: Path, known: Mapping[str, Any], model: Path, verify_key: str) -> None:
    """Refuse a model that is not signed by the key, in a file or the environment's; without a key nothing is asked.

    Raises Refused where there is no signature, or it is another key's or of other content; UsageError for no key.
    """
    named = verify_key or os.environ.get(KEY_VARIABLE, "")
    if not named:
        return
    signature = known.get("signature")
    if not signature:
        raise Refused(
            f"{registered}: version {known['version']} of {known['name']} is not signed, and a key is named to verify"
            " it by: sign it by `brakeline-register add --signing-key FILE` with the same model",
            found="no signature",
            allowed=named,
        )
    _verify(registered, model, json.dumps(signature), Path(named))
    diary.note("signature_verified", version=known["version"], key=named)


def _verify(registered: Path, model: Path, signature: str, key: Path) -> None:
    # They take a second to load.
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm  # noqa: PLC0415
    from model_signing import verifying  # noqa: PLC0415

    config = verifying.Config()  # type: ignore[no-untyped-call]
    try:
        verifier = config.use_elliptic_key_verifier(public_key=key)
    except (OSError, ValueError, TypeError, AttributeError, UnsupportedAlgorithm) as error:
        reason = error.strerror if isinstance(error, OSError) else "it cannot be read as one"
        allowed = "allowed a public key in PEM on P-256, P-384 or P-521: openssl ec -in key.pem -pubout"
        raise UsageError(f"--verify-key: {key}: {reason}; {allowed}", found=key) from error
    with ending.scratch() as scratch:
        file = scratch / "signature.json"
        file.write_text(signature, encoding="utf-8")
        try:
            # It has a word to say of old signatures, and stdout is the result's.
            with contextlib.redirect_stdout(io.StringIO()):
                verifier.verify(model, file)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, OSError, InvalidSignature) as error:
            why = str(error) or "the signature is not of this key, or was altered"
            raise Refused(
                f"{registered}: {model} is not what was signed: {why}", found=why, allowed=str(key)
            ) from error
