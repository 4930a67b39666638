"""A distroless Python from Debian packages: no shell, no package manager, the same bytes for the same packages.

For machines that can reach a Debian mirror but no image registry. The mirror is the one that the machine's own apt
uses, with the suite replaced.
"""

import hashlib
import os
import re
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import IO

from brakeline_images import processes
from brakeline_images.context import EPOCH_S
from brakeline_images.errors import BaseNotMade

SUITE = "trixie"
PACKAGES = (
    "python3.13", "libpython3.13-stdlib", "libc6", "libc-bin", "base-files", "netbase", "tzdata", "ca-certificates",
    "libstdc++6", "media-types",
)  # fmt: skip
STATUS = Path("var/lib/dpkg/status.d")
_SOURCES = Path("/etc/apt")
# What a Python without a shell has no use for.
_REMOVED = (
    "boot", "dev", "etc/alternatives", "etc/apt", "etc/cron.daily", "etc/init.d", "etc/logrotate.d", "etc/perl",
    "etc/profile.d", "etc/update-motd.d", "home", "lib/systemd", "media", "mnt", "opt", "proc", "root", "run", "srv",
    "sys", "usr/games", "usr/include", "usr/lib/systemd", "usr/lib/x86_64-linux-gnu/gconv",
    "usr/lib/x86_64-linux-gnu/perl-base", "usr/local", "usr/sbin", "usr/share/bash-completion", "usr/share/binfmts",
    "usr/share/bug", "usr/share/debconf",
    "usr/share/debianutils", "usr/share/doc", "usr/share/doc-base", "usr/share/info", "usr/share/lintian",
    "usr/share/locale", "usr/share/man", "usr/share/menu", "usr/share/perl5", "usr/share/pixmaps",
    "usr/share/applications", "usr/share/ca-certificates", "usr/src", "var/backups", "var/cache", "var/lib/apt",
    "var/lib/dpkg/info", "var/lib/dpkg/alternatives", "var/lib/dpkg/triggers", "var/lib/dpkg/updates", "var/local",
    "var/log", "var/mail", "var/opt", "var/spool",
)  # fmt: skip
_STDLIB = Path("usr/lib/python3.13")
_REMOVED_OF_STDLIB = (
    "test",
    "idlelib",
    "turtledemo",
    "ensurepip",
    "pydoc_data",
    "tkinter",
    "config-3.13-x86_64-linux-gnu",
)
_EMPTY_FOLDERS = ("dev", "etc", "proc", "run", "sys", "tmp", "opt", "usr/local/bin", "root")
_WRITTEN = {
    "etc/passwd": "root:x:0:0:root:/tmp:/sbin/nologin\nbrakeline:x:1001:0:brakeline:/tmp:/sbin/nologin\n",
    "etc/group": "root:x:0:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
_BUNDLE = Path("etc/ssl/certs/ca-certificates.crt")


def recipe() -> str:
    """A hash of how the base is made; what it is made of is the mirror's."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:20]


def bootstrap(
    target: IO[bytes], ca_bundle: Path | None, packages: tuple[str, ...] = PACKAGES, keep: tuple[str, ...] = ()
) -> None:
    """Write the root file system as a tar archive. Raises BaseNotMade.

    `keep` names files that stay although their folder goes, such as a server's own binary.
    """
    if not shutil.which("mmdebstrap"):
        raise BaseNotMade(
            "the Debian base needs mmdebstrap: apt-get install mmdebstrap (or name an image by --base IMAGE)"
        )
    with tempfile.TemporaryDirectory(prefix="brakeline-", ignore_cleanup_errors=True) as folder:
        root = Path(folder) / "root"
        command = [
            "mmdebstrap", "--quiet", "--variant=extract", "--format=directory", "--architectures=amd64",
            "--skip=cleanup/apt", f"--include={','.join(packages)}",
            *([f'--aptopt=Acquire::https::CaInfo "{ca_bundle}"'] if ca_bundle else []), SUITE, str(root), "-",
        ]  # fmt: skip
        done = processes.run(command, said=sources())
        if done.status:
            raise BaseNotMade(f"mmdebstrap could not make the Debian base: {done.stderr.strip()[-1500:]}")
        _note_packages(root)
        _trim(root, keep)
        _pack(root, target)


def sources(apt: Path = _SOURCES) -> str:
    """The machine's Debian mirrors for the wanted suite, as deb822 paragraphs. Raises BaseNotMade."""
    codename = _codename()
    found = []
    for uri, suites, components, signed in _entries(apt):
        wanted = [
            SUITE + suite.removeprefix(codename)
            for suite in suites
            if re.fullmatch(rf"{codename}(-updates|-security)?", suite)
        ]
        if wanted and "main" in components:
            lines = [f"Types: deb\nURIs: {uri}\nSuites: {' '.join(wanted)}\nComponents: main"]
            found.append("\n".join([*lines, *([f"Signed-By: {signed}"] if signed else [])]))
    if not found:
        raise BaseNotMade(
            f"no Debian mirror for {codename or 'Debian'} among the sources in {apt}: the Debian base is made where "
            "apt's sources name one. Name an image by --base IMAGE instead."
        )
    return "\n\n".join(found) + "\n"


def _entries(apt: Path) -> list[tuple[str, list[str], list[str], str]]:
    """Mirror, suites, components and keyring of each source, from both of apt's formats."""
    entries = []
    for file in sorted([apt / "sources.list", *(apt / "sources.list.d").glob("*")]):
        text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
        if file.suffix == ".sources":
            for paragraph in re.split(r"\n\s*\n", text):
                fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", paragraph, re.MULTILINE))
                if "deb" in fields.get("Types", "").split() and fields.get("Enabled", "yes") != "no":
                    suites, components = fields.get("Suites", "").split(), fields.get("Components", "").split()
                    entries += [
                        (uri, suites, components, fields.get("Signed-By", "")) for uri in fields.get("URIs", "").split()
                    ]
        else:
            for options, uri, suite, components in re.findall(
                r"^deb\s+(\[[^]]*\]\s+)?(\S+)\s+(\S+)\s+(.+)$", text, re.MULTILINE
            ):
                signed = re.search(r"signed-by=(\S+?)[\s\]]", options)
                entries.append((uri, [suite], components.split(), signed[1] if signed else ""))
    return entries


def _codename() -> str:
    release = Path("/etc/os-release")
    found = re.search(r"^VERSION_CODENAME=\"?(\w+)", release.read_text() if release.exists() else "", re.MULTILINE)
    return found[1] if found else ""


def _note_packages(root: Path) -> None:
    """Write what scanners read, one control file for each package; the extract variant leaves none."""
    (root / STATUS).mkdir(parents=True)
    debs = sorted((root / "var/cache/apt/archives").glob("*.deb"))
    if not debs:
        raise BaseNotMade("mmdebstrap left no packages to list: its version may keep them elsewhere")
    for deb in debs:
        control = processes.run(["dpkg-deb", "-f", str(deb)])
        name = re.search(r"^Package: (\S+)$", control.stdout, re.MULTILINE)
        if control.status or not name:
            raise BaseNotMade(f"{deb.name} is no Debian package: {control.stderr.strip()}")
        digest = hashlib.sha256(deb.read_bytes()).hexdigest()
        # The same field as in a mirror's index.
        (root / STATUS / name[1]).write_text(f"{control.stdout}SHA256: {digest}\n", encoding="utf-8")


def _trim(root: Path, keep: tuple[str, ...]) -> None:
    aside = {name: (root / name).rename(root.with_name(f"kept-{number}")) for number, name in enumerate(keep)}
    authorities = sorted((root / "usr/share/ca-certificates/mozilla").glob("*.crt"))
    bundle = "".join(file.read_text(encoding="utf-8") for file in authorities)
    for name in _REMOVED:
        shutil.rmtree(root / name, ignore_errors=True) if not (root / name).is_symlink() else None
    for name in _REMOVED_OF_STDLIB:
        shutil.rmtree(root / _STDLIB / name, ignore_errors=True)
    for binary in (root / "usr/bin").iterdir():
        if binary.name != "python3.13":
            binary.unlink()
    (root / "usr/bin/python3").symlink_to("python3.13")
    for name, kept in aside.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        kept.rename(root / name)
    for name in _EMPTY_FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    for name, text in _WRITTEN.items():
        (root / name).unlink(missing_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    (root / _BUNDLE).parent.mkdir(parents=True, exist_ok=True)
    (root / _BUNDLE).unlink(missing_ok=True)
    (root / _BUNDLE).write_text(bundle, encoding="utf-8")


def _pack(root: Path, target: IO[bytes]) -> None:
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(root.rglob("*")):
            entry = archive.gettarinfo(str(path), path.relative_to(root).as_posix())
            if entry is None:
                continue
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            entry.mtime, entry.mode = EPOCH_S, entry.mode & 0o1777
            entry.pax_headers = {}
            if entry.isreg():
                with path.open("rb") as stream:
                    archive.addfile(entry, stream)
            else:
                archive.addfile(entry)
    target.flush()
    os.fsync(target.fileno())
