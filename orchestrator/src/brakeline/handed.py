"""A command line whose executor input is too long for an argument: the input is handed over as a file.

Linux takes no single argument of 128 KiB with its closing NUL (MAX_ARG_STRLEN, execve(2)). The executor input of a task
that collects the artifacts of hundreds of shards is longer. A step reads `@FILE` for it (`steps/README.md`).
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from brakeline.whole import replace_text

OPTION = "--executor-input"
ARGUMENT_LIMIT_BYTES = 32 * 4096


def by_file(command: Sequence[str], folder: Path) -> list[str]:
    """The command, with an executor input that no argument holds as a file in `folder`. Raises CannotWrite."""
    words = list(command)
    for at, word in enumerate(words[1:], start=1):
        if words[at - 1] == OPTION and len(word.encode()) >= ARGUMENT_LIMIT_BYTES:
            file = folder / f"executor-input-{hashlib.sha256(word.encode()).hexdigest()[:12]}.json"
            replace_text(file, word)
            words[at] = f"@{file.absolute()}"
    return words
