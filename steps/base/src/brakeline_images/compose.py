"""Names the images for compose, which reads variables from `.env` beside `compose.yaml` in either of its versions."""

from collections.abc import Mapping

from brakeline.images import HOUSE, Built

ENV = HOUSE / ".env"
_PREFIX = "BRAKELINE_IMAGE_"


def name_images(images: Mapping[str, Built]) -> None:
    """Write the images' names into `.env`; lines that are not ours stay."""
    before = ENV.read_text(encoding="utf-8").splitlines() if ENV.is_file() else []
    others = [line for line in before if not line.startswith(_PREFIX)]
    ours = [f"{_PREFIX}{name.upper()}={image.reference}" for name, image in sorted(images.items())]
    text = "\n".join([*others, *ours]) + "\n"
    if not ENV.is_file() or ENV.read_text(encoding="utf-8") != text:
        staged = ENV.with_name(f"{ENV.name}.partial")
        staged.write_text(text, encoding="utf-8")
        staged.replace(ENV)
