"""What a run on a cluster is given: the pipeline's inputs, with defaults from the environment, checked in one place.

On a cluster nothing is a path of this machine: the registry is a service, recorded stops and registered models are in
an S3 store, and what serves them is an InferenceService, `kserve://NAMESPACE[/SERVICE][?runtime=NAME]`.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from brakeline import recordings, shards
from brakeline.access import UnusableAccess

# Where each address comes from when nothing is said, what it is otherwise, and its schemes. `{store}` is the S3 prefix
# of BRAKELINE_STORE; None has to be said; with "" the deploy step asks the service that it made.
ADDRESSES: dict[str, tuple[str, str | None, tuple[str, ...]]] = {
    "registry": ("BRAKELINE_REGISTRY", None, ("https",)),
    "model_store": ("BRAKELINE_MODEL_STORE", None, ("kserve",)),
    "server": ("BRAKELINE_SERVER", "", ("https", "http")),
    "keep": ("BRAKELINE_KEEP", "{store}/registered", ("s3",)),
}
STORE, VERIFY_KEY = "BRAKELINE_STORE", "BRAKELINE_VERIFY_KEY"
# A rollout may pull an image and a model first; the step itself is ended after half an hour (`platform.py`).
DEPLOY_TIMEOUT_S = 1500
_KINDS: dict[str, type | tuple[type, ...]] = {
    "NUMBER_INTEGER": int, "NUMBER_DOUBLE": (int, float), "STRING": str, "BOOLEAN": bool, "LIST": list, "STRUCT": dict,
}  # fmt: skip


@dataclass(frozen=True)
class Wish:
    """What to run. Numbers are as the pipeline's inputs of the same name; an address that is "" is the environment's.

    `recorded` is a file, which is put into the store, or `s3://bucket/key`. `scenario` is a preset's name or the text
    of a YAML file, and `label` what a run's name calls it. `others` are any other inputs, as NAME=VALUE.
    """

    rows: int = 400_000
    holdout_rows: int = 60_000
    scenario: str = "default"
    label: str = ""
    seed: int = 0
    trials: int = 8
    shards: int = 2
    name: str = "stopping-distance"
    auto_deploy: bool = True
    recorded: str | None = None
    store: str = ""
    registry: str = ""
    model_store: str = ""
    server: str = ""
    keep: str = ""
    others: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What a person tells runs apart by in a comparison: `default-400k-seed0`."""
        preset = self.scenario if "\n" not in self.scenario else _short(self.scenario)
        thousands, rest = divmod(self.rows, 1000)
        rows = f"{thousands}k" if thousands and not rest else str(self.rows)
        return f"{self.label or preset}-{rows}-seed{self.seed}"


def parameters(wish: Wish, inputs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The value of each of the pipeline's inputs, from the wish and the environment; recorded stops are sent.

    `inputs` are the compiled pipeline's own. Raises UnusableAccess for what is missing, unknown or of another type,
    and RecordingError where the store cannot take the recorded stops.
    """
    others = _typed(wish.others, inputs)
    store = _address("store", wish.store or os.environ.get(STORE, ""), STORE, ("s3",)) if _store_asked(wish) else ""
    found = {name: value for name, value in _wished(wish).items() if name in inputs}
    for name, (variable, otherwise, schemes) in ADDRESSES.items():
        if name in inputs and name not in others:
            said = getattr(wish, name, "") or os.environ.get(variable, "")
            if not said and otherwise is not None:
                said = otherwise.format(store=_needed_store(store, needed="{store}" in otherwise))
            found[name] = _address(name, said, variable, schemes) if said or otherwise is None else ""
    found |= others
    checked(found, inputs, given=("recorded",))
    if found.get("auto_deploy") and (key := os.environ.get(VERIFY_KEY)):
        raise UnusableAccess(
            f"{VERIFY_KEY}: found {key}, which no task of a cluster is handed, so that unsigned models would be "
            "deployed: submit with --no-deploy and deploy by `brakeline deploy --verify-key`, or unset it"
        )
    found = {**_loops(wish, found, inputs), **found}
    if why := shards.too_many(found):
        raise UnusableAccess(why)
    if "recorded" in inputs:
        there = (wish.recorded or "").startswith(recordings.SCHEME)
        found["recorded"] = recordings.send(wish.recorded, f"{_needed_store(store, needed=not there)}/recorded")
    return found


def checked(values: Mapping[str, Any], inputs: Mapping[str, Mapping[str, Any]], given: tuple[str, ...] = ()) -> None:
    """Hold values to the pipeline's own inputs: known, of their type, and none missing. Raises UnusableAccess."""
    for name, value in values.items():
        if name not in inputs:
            raise UnusableAccess(f"parameter {name}: the pipeline has none; allowed are {', '.join(sorted(inputs))}")
        kind = inputs[name]["parameterType"]
        if not isinstance(value, _KINDS[kind]) or (isinstance(value, bool) and kind != "BOOLEAN"):
            raise UnusableAccess(f"parameter {name}: found {value!r}, allowed is a {kind.lower().replace('_', ' ')}")
    missing = [
        name
        for name, told in inputs.items()
        if "defaultValue" not in told and not told.get("isOptional") and name not in {*values, *given}
    ]
    if missing:
        raise UnusableAccess(f"parameters without a value: {', '.join(missing)}")


def read_scenario(scenario: str) -> tuple[str, str]:
    """A scenario as it travels, and what a run's name calls it: a file's text and stem, or a preset's name twice."""
    if not scenario.endswith((".yaml", ".yml")):
        return scenario, scenario
    try:
        return Path(scenario).read_text(encoding="utf-8"), Path(scenario).stem
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableAccess(f"--scenario: {scenario}: {error}") from error


def _typed(words: tuple[str, ...], inputs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or name not in inputs:
            raise UnusableAccess(f"--set {word}: allowed is NAME=VALUE with a name of {', '.join(sorted(inputs))}")
        try:
            values[name] = text if inputs[name]["parameterType"] == "STRING" else json.loads(text)
        except ValueError as error:
            raise UnusableAccess(f"--set {word}: allowed is a {inputs[name]['parameterType'].lower()}") from error
    return values


def _wished(wish: Wish) -> dict[str, Any]:
    return {
        "rows": wish.rows,
        "holdout_rows": wish.holdout_rows,
        "faulty_rows": max(1, 2 * wish.holdout_rows // 3),
        "scenario": wish.scenario,
        "seed": wish.seed,
        "trials": wish.trials,
        "name": wish.name,
        "auto_deploy": wish.auto_deploy,
        "deploy_timeout_seconds": DEPLOY_TIMEOUT_S,
    }


def _loops(wish: Wish, found: Mapping[str, Any], inputs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    finalists = found.get("finalists", inputs.get("finalists", {}).get("defaultValue", 0))
    listed = shards.lists(wish.shards, int(found.get("trials", wish.trials)), int(finalists))
    return {name: parts for name, parts in listed.items() if name in inputs}


def _store_asked(wish: Wish) -> bool:
    return bool(wish.store or os.environ.get(STORE))


def _needed_store(store: str, needed: bool) -> str:
    if needed and not store:
        raise UnusableAccess(
            "recorded stops and registered models have to be in an S3 store that the cluster reads: give --store, or "
            f"set {STORE}, to s3://bucket/prefix"
        )
    return store


def _address(name: str, said: str, variable: str, schemes: tuple[str, ...]) -> str:
    option, allowed = f"--{name.replace('_', '-')}", " or ".join(f"{scheme}://…" for scheme in schemes)
    if not said:
        raise UnusableAccess(f"{option} is missing: give it, or set {variable}; allowed is {allowed}")
    parts = urlsplit(said)
    if parts.scheme not in schemes or not parts.netloc or parts.username or parts.password:
        shown = "an address with a password" if parts.username or parts.password else repr(said)
        raise UnusableAccess(f"{option}: found {shown}, allowed on a cluster is {allowed}")
    return said.rstrip("/")


def _short(text: str) -> str:
    return f"scenario.{hashlib.sha256(text.encode()).hexdigest()[:6]}"
