"""An image's site-packages: locked wheels fetched on the host for the image's Python, and our own code."""

import io
import shutil
import tempfile
import zipfile
from collections.abc import Iterable
from configparser import ConfigParser
from pathlib import Path

from brakeline_images import processes
from brakeline_images.errors import PackagesMissing
from brakeline_images.locks import PYTHON, Pinned

# glibc 2.28 and later: RHEL 8 and Debian 10 onwards.
PLATFORM = "x86_64-manylinux_2_28"
SITE = f"lib/python{PYTHON}/site-packages"
# Not needed to run. numpy/f2py and numpy/testing look so too, but scipy imports them.
_NOT_RUN = {"tests", "test", "include"}
_NOT_RUN_PATHS = (
    "onnxruntime/capi/libonnxruntime.so.*",  # for C programs; Python's extension holds all of it
    "onnxruntime/quantization",
    "onnxruntime/tools",
    "onnxruntime/transformers",
    "jupyterlab/static",  # the same page lies below share/jupyter/lab, from where it is served
    "jupyterlab/galata",  # what JupyterLab's own browser tests need
    "babel/locale-data/[!er]*",  # English stays, and the root of all; JupyterLab has no language packs here
)
_NOT_RUN_ENDINGS = (".pyi", ".pxd", ".pyx", ".h", ".hpp", ".c", ".cpp", ".a", ".proto")
# Stubs that a completer reads at run time.
_READ = "typeshed"
# Published as a source archive alone, and pure Python: a wheel is made of the locked archive on the host.
_FROM_SOURCE = {"kfp-server-api"}


def fetch(image: str, packages: Iterable[Pinned], into: Path, ca_bundle: Path | None) -> None:
    """Install locked wheels for the image's Python and platform into a folder. Raises PackagesMissing."""
    with tempfile.TemporaryDirectory() as folder:
        lock = Path(folder) / "requirements.lock"
        wanted = sorted(packages)
        lock.write_text("\n".join(package.lines for package in wanted) + "\n", encoding="utf-8")
        as_wheels = [package.name for package in wanted if package.name not in _FROM_SOURCE]
        wheels_only = [word for name in as_wheels for word in ("--only-binary", name)]
        command = [
            _uv(), "pip", "install", "-q", "--target", str(into), "--python-version", PYTHON, "--python-platform",
            PLATFORM, *wheels_only, "--require-hashes", "--no-deps", "-r", str(lock),
        ]  # fmt: skip
        done = processes.run(command, environment={"SSL_CERT_FILE": str(ca_bundle)} if ca_bundle else {})
    if done.status:
        raise PackagesMissing(image, done.stderr.strip()[-1500:])
    prune(into)


def prune(site: Path) -> None:
    """Remove what running does not need: tests, headers, stubs, and the packages' own console scripts."""
    shutil.rmtree(site / "bin", ignore_errors=True)
    (site / ".lock").unlink(missing_ok=True)
    for path in sorted(site.rglob("*"), reverse=True):
        if ".dist-info" in path.parent.name:
            continue
        named = any(path.match(f"{site}/{pattern}") for pattern in _NOT_RUN_PATHS)
        if path.is_dir() and (named or path.name in _NOT_RUN):
            shutil.rmtree(path)
        elif path.is_file() and (named or (path.suffix in _NOT_RUN_ENDINGS and _READ not in path.parts)):
            path.unlink()


def own(folders: Iterable[Path], python: str) -> list[tuple[str, bytes]]:
    """Packages of ours as the files of an environment: built as wheels, unpacked, with their console scripts."""
    files: list[tuple[str, bytes]] = []
    for folder in folders:
        with zipfile.ZipFile(io.BytesIO(_wheel(folder))) as wheel:
            for name in wheel.namelist():
                if not name.endswith("/RECORD"):
                    files.append((f"{SITE}/{name}", wheel.read(name)))
                if name.endswith("/entry_points.txt"):
                    files += _scripts(wheel.read(name).decode(), python)
    return files


def _scripts(entry_points: str, python: str) -> list[tuple[str, bytes]]:
    parsed = ConfigParser()
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string(entry_points)
    scripts = []
    for name, target in parsed["console_scripts"].items():
        module, _, function = target.partition(":")
        text = f"#!{python}\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n"
        scripts.append((f"bin/{name}", text.encode()))
    return scripts


def _wheel(folder: Path) -> bytes:
    """A wheel of a package in this repository, by flit, without touching the repository."""
    from flit_core.wheel import make_wheel_in  # noqa: PLC0415  only where something is built

    with tempfile.TemporaryDirectory() as out:
        return Path(make_wheel_in(folder / "pyproject.toml", Path(out)).file).read_bytes()


def _uv() -> str:
    from uv import find_uv_bin  # noqa: PLC0415

    return str(find_uv_bin())
