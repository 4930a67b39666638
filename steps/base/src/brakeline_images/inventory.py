"""What a base image brings along: the packages of its Debian, read from its files; nothing is run."""

import re
from dataclasses import dataclass

from brakeline_images.engine import Engine

_RELEASE = ("/usr/lib/os-release", "/etc/os-release")
# One file for all packages where dpkg manages them, one file for each in a distroless image.
_STATUS = ("/var/lib/dpkg/status", "/var/lib/dpkg/status.d")


@dataclass(frozen=True, order=True)
class OsPackage:
    """A package of the operating system. `sha256` is its archive's, where the base tells it."""

    name: str
    version: str
    architecture: str
    source: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class Inventory:
    """A base by its reference: its system as `debian-13`, its packages, its Python where that is no package."""

    base: str
    system: str
    packages: tuple[OsPackage, ...]
    python: str = ""

    @property
    def unlisted(self) -> str:
        """Why packages are not listed, or nothing where they are."""
        if self.packages:
            return ""
        return f"the packages of {self.system or 'this system'} are not listed: only dpkg's records can be read here"


def take(engine: Engine, base: str) -> Inventory:
    """Read a base's records."""
    files = engine.files(base, (*_RELEASE, *_STATUS))
    release = next((files[name].decode() for name in _RELEASE if name in files), "")
    told = dict(re.findall(r'^(ID|VERSION_ID)="?([^"\n]*)"?$', release, re.MULTILINE))
    system = "-".join(filter(None, (told.get("ID"), told.get("VERSION_ID"))))
    records = "\n\n".join(
        content.decode(errors="replace") for name, content in files.items() if name.startswith(_STATUS)
    )
    found = {package for record in re.split(r"\n\s*\n", records) if (package := _package(record))}
    # Official Python images build their Python themselves and say which in the environment.
    config = (engine.inspect(base) or {}).get("Config") or {}
    python = [word.partition("=")[2] for word in config.get("Env") or [] if word.startswith("PYTHON_VERSION=")]
    return Inventory(base, system, tuple(sorted(found)), "".join(python[:1]))


def _package(record: str) -> OsPackage | None:
    fields = dict(re.findall(r"^([A-Za-z0-9-]+):[ \t]*(.*)$", record, re.MULTILINE))
    if "Version" not in fields or not fields.get("Status", "ok installed").endswith("ok installed"):
        return None
    source = fields.get("Source", "").replace(" (", "@").rstrip(")")
    return OsPackage(fields["Package"], fields["Version"], fields["Architecture"], source, fields.get("SHA256", ""))
