"""What can go wrong with images, each with its exit status (sysexits) and the way out."""

from collections.abc import Sequence
from pathlib import Path
from signal import Signals

DATA, UNAVAILABLE, SOFTWARE, AGAIN = 65, 69, 70, 75


class ImagesError(Exception):
    """Any failure of building images."""

    exit_code = SOFTWARE


class NoEngine(ImagesError):
    """No container engine answers."""

    exit_code = UNAVAILABLE

    def __init__(self, found: str) -> None:
        super().__init__(
            f"no container engine answers ({found}).\n"
            "On Debian or Ubuntu:  apt-get install docker.io   and, without systemd, start dockerd\n"
            "With podman:          systemctl --user start podman.socket and set DOCKER_HOST to its socket\n"
            "Without one, `python build.py run` uses processes instead of containers."
        )


class Interrupted(BaseException):
    """The build was told to end; no failure, and nothing that a thread may swallow."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {Signals(number).name}: what is built stays, the next call goes on from there")
        self.exit_code = 128 + number


class BaseNotPullable(ImagesError):
    """The public base cannot be had from its registry."""

    exit_code = UNAVAILABLE

    def __init__(self, image: str, why: str) -> None:
        super().__init__(
            f"base {image} cannot be pulled: {why}. Name another with --base IMAGE, or --base debian to make one from "
            "Debian packages; --base auto does that by itself."
        )


class BaseNotMade(ImagesError):
    """The Debian base could not be bootstrapped."""

    exit_code = UNAVAILABLE


class BaseUnfit(ImagesError):
    """Nothing can stand on this base: another Python, another C library, or no Python at all."""

    exit_code = DATA

    def __init__(self, base: str, said: str) -> None:
        super().__init__(f"base {base} cannot be used: {said}. Name another with --base IMAGE, or --base debian.")


class BuildFailed(ImagesError):
    """The engine could not build an image."""

    def __init__(self, image: str, said: str) -> None:
        super().__init__(f"{image}: the build failed: {said}")
        self.said = said


class SourcesChanged(ImagesError):
    """Somebody edited while an image was built: its name would not be its content's."""

    exit_code = AGAIN

    def __init__(self, image: str) -> None:
        super().__init__(f"{image}: its sources changed while it was built: run `python build.py images` again")


class PackagesMissing(ImagesError):
    """Locked packages could not be fetched for the image's Python."""

    exit_code = UNAVAILABLE

    def __init__(self, image: str, said: str) -> None:
        super().__init__(
            f"{image}: its locked packages could not be fetched: {said}\n"
            "Is a package index reachable? Proxies of the environment are used; --ca-bundle FILE names your own CA."
        )


class LocksDisagree(ImagesError):
    """Two images on one rung are locked to different versions."""

    exit_code = DATA


class PushFailed(ImagesError):
    """A registry did not take an image."""

    exit_code = UNAVAILABLE

    def __init__(self, reference: str, said: str) -> None:
        super().__init__(f"{reference} could not be pushed: {said}")


class NoKubectl(ImagesError):
    """Nothing here renders manifests."""

    exit_code = UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("no kubectl in this environment: `python build.py` installs it with the locked packages")


class NotRendered(ImagesError):
    """kustomize refuses an overlay."""

    exit_code = DATA

    def __init__(self, folder: Path, said: str) -> None:
        super().__init__(f"{folder}: kustomize cannot render it: {said}")


class NotSet(ImagesError):
    """An overlay holds placeholders that an installation has to set."""

    exit_code = DATA

    def __init__(self, overlay: str, found: Sequence[object]) -> None:
        listed = "\n".join(f"  {one}" for one in found)
        super().__init__(
            f"{overlay}: {len(found)} not set\n{listed}\n"
            "Set values in manifests/installation/values.yaml; images: `python build.py images --push REGISTRY`"
        )
