"""What a change would change, as a unified diff of YAML for people."""

import difflib
from typing import Any

import yaml


def of(before: Any, after: Any, name: str) -> str:
    """A unified diff of two objects as YAML; empty where they are equal."""

    def lines(content: Any) -> list[str]:
        text = "" if content is None else yaml.safe_dump(content, sort_keys=True, allow_unicode=True)
        return text.splitlines(keepends=True)

    return "".join(difflib.unified_diff(lines(before), lines(after), f"{name}, now", f"{name}, then"))
