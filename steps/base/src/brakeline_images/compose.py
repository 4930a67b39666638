"""Names the images for compose, which reads variables from `.env` beside `compose.yaml` in either of its versions."""

from collections.abc import Mapping

from brakeline.images import HOUSE
from brakeline.revision import REVISION

ENV = HOUSE / ".env"
_PREFIX = "BRAKELINE_IMAGE_"


def name_images(references: Mapping[str, str], revision: str = "") -> None:
    """Write images' references into `.env`, by name, and the git revision of what is in them; other lines stay."""
    before = ENV.read_text(encoding="utf-8").splitlines() if ENV.is_file() else []
    ours = {f"{_PREFIX}{name.upper()}": reference for name, reference in sorted(references.items())}
    if revision:
        ours[REVISION] = revision
    others = [line for line in before if line.partition("=")[0] not in ours]
    text = "\n".join([*others, *(f"{name}={reference}" for name, reference in ours.items())]) + "\n"
    if not ENV.is_file() or ENV.read_text(encoding="utf-8") != text:
        staged = ENV.with_name(f"{ENV.name}.partial")
        staged.write_text(text, encoding="utf-8")
        staged.replace(ENV)
