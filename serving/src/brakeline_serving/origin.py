"""Which version a single file is, since when it has been kept, and which bytes it must have.

Where a cluster fetches the file anew for every pod, only the pod's environment knows.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from brakeline_serving import diary
from brakeline_serving.pointer import is_version

VERSION, SINCE, SHA256 = "BRAKELINE_MODEL_VERSION", "BRAKELINE_MODEL_SINCE", "BRAKELINE_MODEL_SHA256"
FILE_VERSION = "1"  # where nobody says another


@dataclass(frozen=True)
class Origin:
    """A file's version, and since when it has been kept [s since 1970], None where that is not known.

    `sha256` is what its bytes must be, empty where nobody says.

    `is_told` is false where the environment says nothing of it, and the file's own time holds.
    """

    version: str
    since_s: float | None
    is_told: bool
    sha256: str = ""


def read(environment: Mapping[str, str] = os.environ) -> Origin:
    """What the environment says; an empty variable is a pod's annotation that is not there. Never raises."""
    version = environment.get(VERSION) or FILE_VERSION
    if not is_version(version):
        diary.warn("origin_unknown", variable=VERSION, message=f"found {version[:100]!r}, allowed a version's name")
        version = FILE_VERSION
    said = environment.get(SINCE)
    return Origin(version, _moment(said) if said else None, said is not None, environment.get(SHA256, ""))


def _moment(said: str) -> float | None:
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        allowed = "a time as 2026-03-01T12:00:00Z"
        diary.warn("origin_unknown", variable=SINCE, message=f"found {said[:100]!r}, allowed {allowed}")
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
