"""A toy step and pipelines of the shapes that ours has, to see what the process runner does with each."""

import stat
import sys
from pathlib import Path

from brakeline import components
from kfp import compiler, dsl
from kfp.dsl import Artifact, Dataset, Input, Output, OutputPath

SCRIPT = """#!{python}
import json, os, sys, time
verb, _, record, *words = sys.argv[1:]
given = json.loads(open(record[1:]).read() if record[0] == "@" else record)
folder = os.path.dirname(given["outputs"]["outputFile"])
os.makedirs(folder, exist_ok=True)
if verb == "fail":
    print(json.dumps(dict(level="error", message="the cable is cut", exit_code=65)), file=sys.stderr)
    sys.exit(65)
if verb == "look":
    import socket
    def can(write):
        try:
            write()
        except OSError:
            return False
        return True
    told = dict(image=os.environ.get("BRAKELINE_IMAGE"), revision=os.environ.get("BRAKELINE_REVISION"))
    seen = dict(**told, uid=os.getuid(), gid=os.getgid(), interfaces=sorted(name for _, name in socket.if_nameindex()),
                writes_root=can(lambda: open("/opt/x", "w")), writes_tmp=can(lambda: open("/tmp/x", "w")),
                capabilities=[l.split()[1] for l in open("/proc/self/status") if l.startswith("CapEff")])
    print(json.dumps(dict(level="info", event="seen", **seen)), file=sys.stderr)
if verb == "wait":
    open(words[0], "w").write(str(os.getpid()))
    time.sleep(60)
made = dict()
for name, listed in given["outputs"].get("artifacts", dict()).items():
    uri = listed["artifacts"][0]["uri"]
    many = given.get("inputs", dict()).get("artifacts", dict())
    read = [open(a["uri"]).read() for l in many.values() for a in l["artifacts"]]
    open(uri, "w").write(json.dumps([verb, words, read]))
    made[name] = dict(artifacts=[dict(name=name, uri=uri, metadata=dict(sha256="0" * 64))])
values = dict(passed=words[0] == "yes") if verb == "judge" else dict()
json.dump(dict(artifacts=made, parameterValues=values), open(given["outputs"]["outputFile"], "w"))
"""

RECORD = dsl.PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER
COMMAND = "toy-step"


def install(folder: Path) -> Path:
    """Put the toy's console script into a folder."""
    script = folder / COMMAND
    script.write_text(SCRIPT.replace("{python}", sys.executable))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script


def toy(verb: str, record: object, *args: object) -> dsl.ContainerSpec:
    return dsl.ContainerSpec(image="toy:1", command=[COMMAND], args=[verb, "--executor-input", record, *args])


@dsl.container_component
def make(out: Output[Artifact], shard: str):
    return toy("make", RECORD, shard)


@dsl.container_component
def join(parts: Input[list[Artifact]], out: Output[Artifact]):
    return toy("join", RECORD)


@dsl.container_component
def judge(out: Input[Artifact], verdict: Output[Artifact], passed: OutputPath(bool), word: str):  # type: ignore[valid-type]
    return toy("judge", RECORD, word)


@dsl.container_component
def ship(verdict: Input[Artifact], out: Output[Artifact]):
    return toy("ship", RECORD)


@dsl.container_component
def fail(out: Output[Artifact]):
    return toy("fail", RECORD)


@dsl.container_component
def look(out: Output[Artifact]):
    return toy("look", RECORD, dsl.PIPELINE_JOB_ID_PLACEHOLDER)


@dsl.container_component
def wait(pid_file: str, out: Output[Artifact]):
    return toy("wait", RECORD, pid_file)


@dsl.pipeline(name="gate")
def gate(verdict: Input[Artifact], passed: bool):
    with dsl.If(passed == True):  # noqa: E712
        ship(verdict=verdict)


@dsl.pipeline(name="looped")
def looped(word: str, shards: list[str] = ["a", "b", "c"]):  # noqa: B006
    with dsl.ParallelFor(shards) as shard:
        made = make(shard=shard)
    joined = join(parts=dsl.Collected(made.outputs["out"]))
    judged = judge(out=joined.outputs["out"], word=word)
    gate(verdict=judged.outputs["verdict"], passed=judged.outputs["passed"])


@dsl.pipeline(name="joined")
def joined(recorded: str, rows: int, shards: list[str]):
    """The real steps as far as the shards come together."""
    stops = dsl.importer(artifact_uri=recorded, artifact_class=Dataset, reimport=False)
    with dsl.ParallelFor(shards) as shard:
        part = components.synthesize(
            rows=rows, holdout_rows=2_000, faulty_rows=2_000, scenario="default", seed=0, shard=shard
        )
    components.assemble(parts=dsl.Collected(part.outputs["part"]), recorded=stops.output)


@dsl.pipeline(name="failing")
def failing():
    broken = fail()
    ship(verdict=broken.outputs["out"])


@dsl.pipeline(name="failing-with-tries")
def failing_with_tries():
    fail().set_retry(3, backoff_duration="1s")


@dsl.pipeline(name="failing-in-loop")
def failing_in_loop(shards: list[str] = ["a", "b", "c"]):  # noqa: B006
    with dsl.ParallelFor(shards):
        fail()


@dsl.pipeline(name="looking")
def looking():
    look()


@dsl.pipeline(name="waiting")
def waiting(pid_file: str):
    wait(pid_file=pid_file)


def compiled(pipeline: object, folder: Path, image: str = "toy:1") -> Path:
    target = folder / "toy.yaml"
    compiler.Compiler().compile(pipeline, str(target))
    target.write_text(target.read_text().replace("toy:1", image))
    return target
