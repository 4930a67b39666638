"""Who asks an S3 store, where the client does not find it in the environment itself: a file of credentials.

The same as steps and server read it, so that what a mounted secret lets them do, it lets the orchestrator do.
"""

import configparser
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obstore.store import S3Config

FILE, PROFILE = "AWS_SHARED_CREDENTIALS_FILE", "AWS_PROFILE"
_IDENTITIES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
)


def of_file(has_endpoint: bool) -> "S3Config":
    """Keys of the file that the environment names, as settings of a client; none where it has others.

    Raises ValueError, which quotes nothing of the file, where it holds none, or where a store of one's own is asked
    and nobody says who asks.
    """
    if any(os.environ.get(name) for name in _IDENTITIES):
        return {}
    named, profile = os.environ.get(FILE), os.environ.get(PROFILE) or "default"
    if not named:
        if has_endpoint:
            # Without this the client would look for a cloud machine's identity, where there is no such cloud.
            raise ValueError(f"no S3 credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or {FILE}")
        return {}
    known = _profile(named, profile)
    config: S3Config = {
        "access_key_id": known["aws_access_key_id"],
        "secret_access_key": known["aws_secret_access_key"],
    }
    if token := known.get("aws_session_token"):
        config["session_token"] = token
    return config


def _profile(named: str, profile: str) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(Path(named).read_text(encoding="utf-8"))
        known = dict(parser[profile])
    except OSError as error:
        raise ValueError(f"{FILE}: cannot read {named}: {error.strerror}") from None
    except (configparser.Error, UnicodeDecodeError, KeyError):
        # Its own message would quote the line, and a secret with it.
        known = {}
    if not {"aws_access_key_id", "aws_secret_access_key"} <= known.keys():
        allowed = f"[{profile}] with aws_access_key_id and aws_secret_access_key"
        raise ValueError(f"{FILE}: found {named} without, allowed {allowed}")
    return known
