"""Images of ours in the engine that nothing names any more.

Named are the lock's images, what `.env` names for compose, and every rung that these stand on.
"""

import contextlib
from functools import partial
from typing import Any

from brakeline import images
from brakeline.place import NoEngine, engine
from brakeline.prune.policy import Item, Kept
from brakeline.refusals import UNAVAILABLE, Refused

_LABEL = "brakeline."


def plan() -> tuple[list[Item], list[Kept]]:
    """What goes and what stays though nothing names it. Raises Refused where no engine answers."""
    try:
        client = engine()
    except NoEngine as error:
        raise Refused(f"--images: {error}", UNAVAILABLE) from error
    ours, named = _ours(client), _named()
    standing = [_layers(image) for image in ours if named & set(image.tags)]
    containers = client.containers.list(all=True, ignore_removed=True)
    used = {container.attrs["Image"]: container.name for container in containers}
    items, kept = list[Item](), list[Kept]()
    for image in ours:
        name = ", ".join(image.tags) or image.short_id
        if any(layers[: len(_layers(image))] == _layers(image) for layers in standing):
            continue
        if image.id in used:
            kept.append(Kept("image", name, f"the container {used[image.id]} is made of it"))
        else:
            items.append(Item("image", name, image.attrs["Size"], partial(_remove, client, image)))
    # What stands on others goes before them.
    return sorted(items, key=lambda item: item.bytes or 0, reverse=True), kept


def _ours(client: Any) -> list[Any]:
    """By their label, each looked at for its layers; one that another call removes meanwhile is gone already."""
    from docker.errors import ImageNotFound  # noqa: PLC0415  an extra of this package

    found = []
    for listed in client.api.images():
        if any(label.startswith(_LABEL) for label in listed["Labels"] or {}):
            with contextlib.suppress(ImageNotFound):
                found.append(client.images.get(listed["Id"]))
    return found


def _named() -> set[str]:
    file = images.HOUSE / ".env"
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    for_compose = {line.partition("=")[2] for line in lines if line.startswith("BRAKELINE_IMAGE_")}
    return for_compose | {image.reference for image in images.built().values()}


def _layers(image: Any) -> list[str]:
    return list(image.attrs["RootFS"]["Layers"])


def _remove(client: Any, image: Any) -> str:
    from docker.errors import APIError, ImageNotFound  # noqa: PLC0415  an extra of this package

    for name in image.tags or [image.id]:
        try:
            client.images.remove(name)
        except ImageNotFound:
            continue
        except APIError as error:
            return str(error.explanation or error)
    return ""
