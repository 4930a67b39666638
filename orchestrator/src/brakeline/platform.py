"""What tasks need of the platform they run on, in one table: caching, network, state. Applied by one loop."""

from dataclasses import dataclass
from typing import Any

from kfp import dsl


@dataclass(frozen=True)
class Needs:
    """Settings of one kind of task. `state` lists what it needs of the state folder, as paths in it."""

    cached: bool = True
    network: bool = False
    state: tuple[str, ...] = ()


# What reads or changes state outside the run must run each time. Tries again happen inside the steps: KFP cannot
# tell an exit status that is worth another try from one that is not.
_REGISTRY = Needs(cached=False, network=True, state=(".",))
_STORE = Needs(cached=False, network=True, state=("models",))
TABLE: dict[str, Needs] = {
    "synthesize": Needs(),
    "assemble": Needs(),
    "floor": Needs(),
    "search": Needs(),
    "rank": Needs(),
    "refine": Needs(),
    "fit": Needs(),
    "validate": Needs(),
    "champion": _REGISTRY,
    "record": _REGISTRY,
    "register": _REGISTRY,
    "deploy": _STORE,
    "promote": _REGISTRY,
}


def settle(**tasks: Any) -> None:
    """Apply the table to tasks by their names. A task that the table does not know is an error."""
    for name, task in tasks.items():
        task.set_caching_options(TABLE[name].cached)


def container(step: str, verb: str, *args: Any) -> dsl.ContainerSpec:
    """A step's container. Placeholders stand in args alone: KFP's launcher resolves them only there.

    The image is named by its step here; `run.compile_pipeline` puts each runner's images in.
    """
    record = dsl.PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER
    return dsl.ContainerSpec(
        image=step,
        command=[f"brakeline-{step}"],
        args=[verb, "--executor-input", record, *args],
    )
