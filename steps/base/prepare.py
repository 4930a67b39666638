"""Runs once inside a base image: makes /opt/brakeline an environment of the base's own Python, whatever its path.

The same file serves a Debian, a public Python and a UBI base; it uses nothing that a distroless base lacks.
"""

import compileall
import os
import platform
import sys
import sysconfig
from pathlib import Path

HOME = Path("/opt/brakeline")
WANTED = (3, 13)
LEAST_GLIBC = (2, 28)
# Where volumes are mounted.
MOUNTS = tuple(Path("/state") / name for name in ("", "artifacts", "registry", "models"))
BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
BUNDLES_ELSEWHERE = (Path("/etc/pki/tls/certs/ca-bundle.crt"), Path("/etc/ssl/ca-bundle.pem"))


def main() -> None:
    """Check the Python, make the environment and the folders that volumes are mounted on."""
    _check()
    site = HOME / "lib" / f"python{WANTED[0]}.{WANTED[1]}" / "site-packages"
    site.mkdir(parents=True)
    (HOME / "bin").mkdir()
    executable = os.path.realpath(sys.executable)
    (HOME / "bin" / "python").symlink_to(executable)
    settings = f"home = {os.path.dirname(executable)}\ninclude-system-site-packages = false\n"  # noqa: PTH120
    (HOME / "pyvenv.cfg").write_text(settings)
    compileall.compile_dir(sysconfig.get_path("stdlib"), quiet=2, workers=0)
    if not BUNDLE.exists():
        found_bundle = next((bundle for bundle in BUNDLES_ELSEWHERE if bundle.exists()), None)
        if found_bundle:
            BUNDLE.parent.mkdir(parents=True, exist_ok=True)
            BUNDLE.symlink_to(found_bundle)
    for folder in MOUNTS:
        folder.mkdir(exist_ok=True)
        # A named volume takes its owner and mode from here: any user with group 0 may write.
        os.chown(folder, 0, 0)
        folder.chmod(0o775)
    Path("/tmp").mkdir(exist_ok=True)  # noqa: S108
    Path("/tmp").chmod(0o1777)  # noqa: S108


def _check() -> None:
    """The locked wheels are for one Python, one C library and one processor."""
    libc, version = platform.libc_ver()
    glibc = tuple(int(part) for part in version.split(".")[:2]) if libc == "glibc" else ()
    facts = (
        ("Python", ".".join(map(str, sys.version_info[:2])), sys.version_info[:2] == WANTED, "3.13"),
        ("C library", f"{libc} {version}".strip() or "none of GNU", glibc >= LEAST_GLIBC, "glibc 2.28 or later"),
        ("processor", platform.machine(), platform.machine() == "x86_64", "x86_64"),
    )
    for name, found, fits, allowed in facts:
        if not fits:
            sys.exit(f"{name}: found {found}, allowed {allowed}")


if __name__ == "__main__":
    main()
