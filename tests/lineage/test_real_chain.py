"""The chain of the real steps: a model is registered with its whole past, and a flipped byte of any of it is found."""

import json
import shutil
from pathlib import Path

from brakeline import inspection, record
from stepkit import artifacts

from tests.conftest import Chain, command

NAMES = ("part", "dataset", "holdout", "faulty", "rejects", "floor", "scored", "results", "model", "champion",
         "verdict", "dossier", "metrics", "measurements", "lineage")  # fmt: skip


def test_a_flipped_byte_in_any_artifact_of_the_real_chain_is_found(good: Chain, tmp_path: Path) -> None:
    """From the stops that were measured to the verdict: each artifact, where it lies, by its recorded sha256."""
    state, at = tmp_path / "state", tmp_path / "state" / "runs" / "run-1"
    shutil.copytree(good.folder, at)
    kept = record.RunRecord("run-1", "process", at, {})
    for name in NAMES:
        known = {"uri": str(at / name), "sha256": artifacts.sha256_of(at / name)}
        kept.add(record.TaskRecord(name, "", record.SUCCEEDED, False, 0.0, {name: known}))
    stops = state / "runs" / "inputs" / artifacts.sha256_of(at / "recorded.csv") / "recorded.csv"
    stops.parent.mkdir(parents=True)
    shutil.copyfile(at / "recorded.csv", stops)
    registry = f"sqlite:///{state}/registry.sqlite"
    done = command("brakeline-register", "add", "--model", at / "model", "--passed-verdict", at / "verdict",
                   "--dossier", at / "dossier", "--lineage", at / "lineage", "--registered", tmp_path / "registered",
                   "--registry", registry)  # fmt: skip
    assert done.code == 0, done.stderr
    version = inspection.find(registry, "stopping-distance", "1")
    whole = inspection.examine(version, registry, state)
    assert (whole.altered, whole.missing) == ([], [])
    verbs = {call.name for call in whole.chain.calls}
    assert verbs == {"synthesize generate", "synthesize assemble", "synthesize floor", "train search", "train refine",
                     "train fit", "register champion", "validate validate"}  # fmt: skip
    trained = next(call for call in whole.chain.calls if call.name == "train fit")
    assert trained.inputs["dataset"] == [json.loads((at / "verdict").read_text())["training"]["dataset_sha256"]]
    for path in (*(at / name for name in NAMES), stops):
        files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
        # Hidden ones come first: one of either kind.
        for file in {files[0], files[-1]}:
            before = file.read_bytes()
            middle = len(before) // 2
            file.write_bytes(before[:middle] + bytes([before[middle] ^ 1]) + before[middle + 1 :])
            altered = {Path(one.file) for one in inspection.examine(version, registry, state).altered}
            assert altered & {path, file}, file
            file.write_bytes(before)
