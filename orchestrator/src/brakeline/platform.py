"""What tasks need of the platform they run on, in one table: caching, applied by one loop."""

from dataclasses import dataclass
from typing import Any

from kfp import dsl


@dataclass(frozen=True)
class Needs:
    """Settings of one kind of task."""

    cached: bool = True


# What reads or changes state outside the run must run each time. Tries again happen inside the steps: KFP cannot
# tell an exit status that is worth another try from one that is not.
_OF_THE_WORLD = Needs(cached=False)
TABLE: dict[str, Needs] = {
    "synthesize": Needs(),
    "assemble": Needs(),
    "search": Needs(),
    "fit": Needs(),
    "validate": Needs(),
    "champion": _OF_THE_WORLD,
    "register": _OF_THE_WORLD,
    "deploy": _OF_THE_WORLD,
    "promote": _OF_THE_WORLD,
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
