"""Which revision of the sources this is, for the lineage of what it makes."""

import os
import shutil
import subprocess

from brakeline.images import HOUSE

IMAGE, REVISION = "BRAKELINE_IMAGE", "BRAKELINE_REVISION"


def here() -> str:
    """The environment's word, or git's: the commit, `-dirty` where files differ from it; "" where neither knows."""
    if said := os.environ.get(REVISION):
        return said
    commit = _git("rev-parse", "HEAD")
    return f"{commit}-dirty" if commit and _git("status", "--porcelain", "--untracked-files=no") else commit


def as_sources(image: str) -> str:
    """What a process is told in an image's place: it ran the sources that the image is named by, and no image.

    No step takes it for an image, and leaves work undone for it: the packages beside the sources are not in the name.
    """
    name, _, content = image.rpartition(":")
    return f"sources:{name}@{content}"


def _git(*words: str) -> str:
    git = shutil.which("git")
    if not git or not (HOUSE / ".git").exists():
        return ""
    try:
        done = subprocess.run([git, "-C", str(HOUSE), *words], capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
