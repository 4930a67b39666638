"""Which base the ladder stands on: a public image by digest, one that is named, or one made from Debian packages."""

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brakeline_images import debian
from brakeline_images.engine import Engine, pinned
from brakeline_images.errors import BaseNotPullable

# Pulled by this tag once, used and recorded by its digest from then on; --refresh-base pulls again.
PUBLIC = "docker.io/library/python:3.13-slim-trixie"
AUTO, DEBIAN = "auto", "debian"
PACKAGES_LABEL, RECIPE_LABEL = "brakeline.debian.packages", "brakeline.debian.recipe"


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
    if before and before.asked == asked and not fresh and _stands(engine.inspect(before.reference)):
        return before
    if asked == DEBIAN:
        return Base(asked, _from_debian(engine, tell, ca_bundle, fresh))
    image = PUBLIC if asked == AUTO else asked
    if (here := engine.inspect(image)) and not fresh:
        return Base(asked, pinned(here))
    tell(f"pulling {image}")
    try:
        return Base(asked, engine.pull(image))
    except BaseNotPullable as error:
        if asked != AUTO:
            raise
        tell(f"{image} cannot be pulled ({str(error.__cause__)[:120]}): making a base from Debian packages instead")
        return Base(asked, _from_debian(engine, tell, ca_bundle, fresh))


def _stands(image: dict[str, Any] | None) -> bool:
    """Whether a base that was chosen before is there and, if we made it, made as we would make it now."""
    labels = ((image or {}).get("Config") or {}).get("Labels") or {}
    return image is not None and labels.get(RECIPE_LABEL, debian.recipe()) == debian.recipe()


def _from_debian(engine: Engine, tell: Callable[[str], None], ca_bundle: Path | None, fresh: bool) -> str:
    made = engine.labelled(f"{RECIPE_LABEL}={debian.recipe()}")
    known = [tag for image in made for tag in image.get("RepoTags") or [] if tag.startswith("brakeline/debian:")]
    if known and not fresh:
        return str(known[0])
    tell(f"making a Python from Debian {debian.SUITE} packages")
    with tempfile.TemporaryFile() as tar:
        packages = debian.bootstrap(tar, ca_bundle)
        tar.seek(0)
        reference = f"brakeline/debian:{hashlib.file_digest(tar, 'sha256').hexdigest()[:20]}"
        tar.seek(0)
        if not engine.inspect(reference):
            labels = {RECIPE_LABEL: debian.recipe(), PACKAGES_LABEL: debian.as_label(packages)}
            engine.load_root(tar, reference, labels)
    return reference
