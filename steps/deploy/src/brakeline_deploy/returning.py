"""What a rollback asks of the version that it leads to: where a public key is named, a good signature, as of any other.

A target keeps no signature, so registration and model are brought again, as the registry has them now: what was proven
before it was signed is let in once it is, and what was signed again is by the last key alone.
"""

import os
from pathlib import Path

from stepkit import ending, verdict
from stepkit.errors import ArtifactAltered, Refused

from brakeline_deploy import rollout, signing
from brakeline_deploy.target import Admit


def signed(registered: Path | None, model: Path | None, verify_key: str) -> Admit:
    """What admits a version that is the registered one and, where a key is named, here or by the environment, signed.

    What it returns raises Refused where it is neither, or nothing was brought to know it by.
    """
    named = verify_key or os.environ.get(signing.KEY_VARIABLE, "")

    def admit(version: str, sha256: str) -> None:
        if registered is None:
            if named:
                raise Refused(
                    f"version {version} may serve again once its signature is verified, since the key {named} is named,"
                    " and nothing here tells one: `brakeline rollback` brings it, or --registered and --model do, as"
                    f" `brakeline-register fetch --version {version}` writes them",
                    found="no signature",
                    allowed=named,
                )
            return
        known = rollout.read_registered(registered)
        if (known["version"], known["sha256"]) != (version, sha256):
            raise Refused(
                f"{registered}: is about version {known['version']}, {known['sha256']}, and what would serve again is"
                f" {version}, {sha256}: bring the registration of that one",
                found=known["sha256"],
                allowed=sha256,
            )
        with ending.scratch() as scratch:
            folder = model or rollout.fetched(registered, known, scratch / "model")
            if (found := verdict.model_sha256(folder)) != sha256:
                raise ArtifactAltered(folder / verdict.MODEL_FILE, found, sha256)
            signing.require_signed(registered, known, folder, named)

    return admit
