"""A plan of what goes, shown or carried out; one at a time prunes a state."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from brakeline.prune import images, runs, versions
from brakeline.prune.policy import Item, Kept, Policy
from brakeline.prune.versions import Versions
from brakeline.refusals import TRY_AGAIN, USAGE, Refused

_LOCK = ".prune.lock"


@dataclass(frozen=True)
class Where:
    """What is pruned: a state, the registry and model store that go with it, and a model's name in them."""

    state: Path
    registry: str
    model_store: str
    name: str
    by: str


@dataclass(frozen=True)
class Plan:
    """What goes, in this order, and what stays against the rules."""

    items: list[Item] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)


def plan(where: Where, policy: Policy) -> Plan:
    """Look at all that the policy says something about. Raises Refused."""
    if not policy.is_stated:
        allowed = "--keep-runs N, --keep-days D, --keep-versions N, --images: at least one of them"
        raise Refused(f"nothing says what to keep: {allowed}", USAGE)
    items, kept = list[Item](), list[Kept]()
    if policy.versions is not None or policy.is_of_runs:
        known = versions.find(where.registry, where.model_store, where.name)
        parts = [versions.plan(known, policy, where.by)]
        if policy.is_of_runs:
            parts.append(runs.plan(where.state, policy, _needed(where, known)))
        items += [item for part, _ in parts for item in part]
        kept += [one for _, part in parts for one in part]
    if policy.images:
        more, stay = images.plan()
        items, kept = items + more, kept + stay
    return Plan(items, kept)


def carry_out(made: Plan, gone: Callable[[Item], object]) -> Plan:
    """Remove what goes, one after the other; `gone` hears of each. Returns what went, and all that stays.

    Raises Refused where a service does not answer; what went until then is gone, and another call goes on.
    """
    done, kept = list[Item](), list(made.kept)
    for item in made.items:
        if why := item.remove():
            kept.append(Kept(item.kind, item.name, why))
        else:
            done.append(item)
            gone(item)
    return Plan(done, kept)


def describe(made: Plan, status: str) -> dict[str, Any]:
    """A plan in one JSON object; of images the size is at most what is freed, since they share layers."""
    items = [{"kind": item.kind, "name": item.name, "bytes": item.bytes} for item in made.items]
    freed = sum(item.bytes or 0 for item in made.items)
    return {"status": status, "bytes": freed, "items": items, "kept": [asdict(one) for one in made.kept]}


def _needed(where: Where, known: Versions) -> dict[tuple[str, str], str]:
    """Why versions are needed, by model and version: of every model that the state's runs are about."""
    others = {run.model for run in runs.find(where.state)} - {"", where.name}
    found = [known, *(versions.find(where.registry, where.model_store, other) for other in sorted(others))]
    return {(each.name, version): why for each in found for version, why in each.needed.items()}


@contextmanager
def alone(state: Path) -> Iterator[None]:
    """Keep others that prune this state out. Raises Refused."""
    if not state.is_dir():
        yield
        return
    with (state / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Refused(f"{state}: another prune is at work; try again when it has ended", TRY_AGAIN) from error
        yield
