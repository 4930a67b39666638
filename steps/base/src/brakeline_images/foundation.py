"""Which base the ladder stands on: a public image by digest, one that is named, or one made from Debian packages."""

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from brakeline_images import debian
from brakeline_images.engine import Engine, pinned
from brakeline_images.errors import BaseNotPullable

# Pulled by this tag once, used and recorded by its digest from then on; --refresh-base pulls again.
PUBLIC = "docker.io/library/python:3.13-slim-trixie"
AUTO, DEBIAN = "auto", "debian"
_MADE = "brakeline/debian"


@dataclass(frozen=True)
class Base:
    """A base image: which was asked for, and its reference by content."""

    asked: str
    reference: str


def choose(
    asked: str, before: Base | None, engine: Engine, tell: Callable[[str], None], ca_bundle: Path | None, fresh: bool
) -> Base:
    """The base by content. What was chosen before is kept while the engine has it, unless `fresh`.

    Raises BaseNotPullable, BaseNotMade.
    """
    if before and before.asked == asked and not fresh and _stands(before.reference, engine):
        return before
    if asked == DEBIAN:
        return Base(asked, _from_debian(engine, tell, ca_bundle, fresh))
    image = PUBLIC if asked == AUTO else asked
    here = engine.inspect(image)
    # An image without a digest was built on this machine: there is nowhere to pull it from.
    if here and not (fresh and here.get("RepoDigests")):
        return Base(asked, pinned(here, image))
    tell(f"pulling {image}")
    try:
        return Base(asked, engine.pull(image))
    except BaseNotPullable as error:
        if asked != AUTO:
            raise
        tell(f"{image} cannot be pulled ({str(error.__cause__)[:120]}): making a base from Debian packages instead")
        return Base(asked, _from_debian(engine, tell, ca_bundle, fresh))


def _stands(reference: str, engine: Engine) -> bool:
    """Whether a base that was chosen before is here and, if we made it, made as we would make it now."""
    image = engine.inspect(reference)
    if image and reference.startswith(f"{_MADE}:"):
        return bool(image["Id"] == (engine.inspect(_by_recipe()) or {}).get("Id"))
    # The name of one that was built here may stand for another by now.
    return image is not None and "@" in reference


def _by_recipe() -> str:
    """A second name of the base that we made, which says how it was made; its first says what came of it."""
    return f"{_MADE}-recipe:{debian.recipe()}"


def _from_debian(engine: Engine, tell: Callable[[str], None], ca_bundle: Path | None, fresh: bool) -> str:
    if not fresh and (known := engine.inspect(_by_recipe())):
        return next(str(tag) for tag in known["RepoTags"] if tag.startswith(f"{_MADE}:"))
    tell(f"making a Python from Debian {debian.SUITE} packages")
    with tempfile.TemporaryFile() as tar:
        debian.bootstrap(tar, ca_bundle)
        tar.seek(0)
        reference = f"{_MADE}:{hashlib.file_digest(tar, 'sha256').hexdigest()[:20]}"
        tar.seek(0)
        if not engine.inspect(reference):
            engine.load_root(tar, reference)
    engine.tag(reference, _by_recipe())
    return reference
