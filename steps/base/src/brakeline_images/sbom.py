"""A bill of materials for each image, CycloneDX 1.6: the base's Debian packages and the Python packages above."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, uuid5

from brakeline_images.context import EPOCH_S
from brakeline_images.inventory import Inventory
from brakeline_images.locks import Pinned


def make(reference: str, base: Inventory, python: Iterable[Pinned], own: Mapping[str, str]) -> str:
    """The bill as JSON, the same text for the same content. `own` maps our packages to their versions."""
    # The library takes a third of a second to load: only where something is built.
    from cyclonedx.model import HashAlgorithm, HashType, Property  # noqa: PLC0415
    from cyclonedx.model.bom import Bom  # noqa: PLC0415
    from cyclonedx.model.component import Component, ComponentType  # noqa: PLC0415
    from cyclonedx.output.json import JsonV1Dot6  # noqa: PLC0415
    from packageurl import PackageURL  # noqa: PLC0415

    bill = Bom(serial_number=uuid5(NAMESPACE_URL, reference))
    bill.metadata.timestamp = datetime.fromtimestamp(EPOCH_S, UTC)
    name, _, version = reference.rpartition(":")
    bill.metadata.component = Component(name=name, version=version, type=ComponentType.CONTAINER, bom_ref=reference)
    bill.metadata.properties.add(Property(name="brakeline:base", value=base.base))
    if base.unlisted:
        bill.metadata.properties.add(Property(name="brakeline:unlisted", value=base.unlisted))

    def add(url: PackageURL, digest: str = "") -> None:
        hashes = [HashType(alg=HashAlgorithm.SHA_256, content=digest)] if digest else []
        kind = ComponentType.LIBRARY
        bill.components.add(
            Component(name=url.name, version=url.version, type=kind, purl=url, bom_ref=str(url), hashes=hashes)
        )

    for package in base.packages:
        where = {"arch": package.architecture, "distro": base.system, "upstream": package.source}
        add(PackageURL("deb", base.system.partition("-")[0], package.name, package.version, where), package.sha256)
    if base.python:
        add(PackageURL("generic", None, "python", base.python))
    for pinned in python:
        add(PackageURL("pypi", None, pinned.name, pinned.version))
    for name_of_ours, its_version in own.items():
        add(PackageURL("pypi", None, name_of_ours, its_version))
    bill.register_dependency(bill.metadata.component, bill.components)
    text: str = JsonV1Dot6(bill).output_as_string(indent=1)
    return json.dumps(json.loads(text), indent=1, sort_keys=True) + "\n"
