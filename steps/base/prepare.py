"""Runs once inside a base image: makes /opt/brakeline an environment of the base's own Python, whatever its path.

The same file serves a Debian, a public Python and a UBI base; it uses nothing that a distroless base lacks.
"""

import compileall
import os
import sys
import sysconfig
from pathlib import Path

HOME = Path("/opt/brakeline")
WANTED = (3, 13)
BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
BUNDLES_ELSEWHERE = (Path("/etc/pki/tls/certs/ca-bundle.crt"), Path("/etc/ssl/ca-bundle.pem"))


def main() -> None:
    """Check the Python, make the environment and the folders that volumes are mounted on."""
    if sys.version_info[:2] != WANTED:
        found = ".".join(map(str, sys.version_info[:2]))
        sys.exit(
            f"the base has Python {found}, allowed {'.'.join(map(str, WANTED))}: the locked wheels are for that one"
        )
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
    state = Path("/state")
    state.mkdir(exist_ok=True)
    # A named volume takes its owner and mode from here: any user with group 0 may write.
    os.chown(state, 0, 0)
    state.chmod(0o775)
    Path("/tmp").mkdir(exist_ok=True)  # noqa: S108
    Path("/tmp").chmod(0o1777)  # noqa: S108


if __name__ == "__main__":
    main()
