"""The example as a KFP pipeline: a log and its form from a store, converted. Compiles to IR YAML."""

import argparse
from pathlib import Path

from kfp import compiler, dsl
from kfp.dsl import Artifact, Dataset, Input, Output

NAMED_LATER = "drivelog"


@dsl.container_component
def convert(
    logs: Input[Dataset],
    form: Input[Artifact],
    recorded: Output[Dataset],
    rejects: Output[Dataset],
    origin: Output[Artifact],
    max_rejected_share: float,
):
    """A fleet's log as recorded stops. Names and types are those of the program's own --describe."""
    return dsl.ContainerSpec(
        image=NAMED_LATER,
        command=["brakeline-drivelog"],
        args=[
            "convert", "--executor-input", dsl.PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER,
            "--logs", logs.path, "--form", form.path, "--recorded", recorded.path, "--rejects", rejects.path,
            "--origin", origin.path, "--max-rejected-share", max_rejected_share,
        ],
    )  # fmt: skip


@dsl.pipeline(name="drivelog", description="A fleet's log of stops in, recorded stops out.")
def drivelog(log: str, form: str, max_rejected_share: float = 0.1):
    """Both addresses are what an importer takes: a path where the run is local, s3://… on a cluster."""
    brought = dsl.importer(artifact_uri=log, artifact_class=Dataset, reimport=False)
    said = dsl.importer(artifact_uri=form, artifact_class=Artifact, reimport=False)
    task = convert(logs=brought.output, form=said.output, max_rejected_share=max_rejected_share)
    task.set_cpu_request("100m").set_cpu_limit("1").set_memory_request("64Mi").set_memory_limit("256Mi")


def compiled(image: str, output: Path) -> Path:
    """Compile with the program's image, named by content: a tag that floats would be another program to no cache."""
    compiler.Compiler().compile(drivelog, str(output))
    output.write_text(output.read_text().replace(f"image: {NAMED_LATER}\n", f"image: {image}\n"))
    return output


if __name__ == "__main__":
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--image", required=True, help="the program's image, by digest or by a tag of its content")
    words.add_argument("--output", type=Path, required=True, help="where the IR YAML goes")
    asked = words.parse_args()
    compiled(asked.image, asked.output)
