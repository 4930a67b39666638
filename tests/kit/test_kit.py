"""The kit's own promises: artifacts whole or absent, contracts and verdicts read strictly, arithmetic pinned."""

import json
import os
from pathlib import Path

import polars as pl
import pytest
from stepkit import artifacts, contract, executor, tables, verdict
from stepkit.errors import OutputNotWritable, Refused, StepError, TryAgain, UnreadableArtifact, UsageError
from stepkit.signature import whole_number

DATA = Path(__file__).parents[1] / "data"
GOLDEN = {version: (DATA / f"contract-v{version}.json").read_text() for version in (1, 2)}
every_version = pytest.mark.parametrize("golden", GOLDEN.values(), ids=[f"contract {version}" for version in GOLDEN])


def test_a_folder_is_hashed_by_names_and_bytes(tmp_path: Path) -> None:
    """Renaming a file or changing a byte changes the hash; hidden files, order and times do not."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_text("1")
    (tmp_path / "a" / "y").write_text("2")
    first = artifacts.sha256_of(tmp_path / "a")
    (tmp_path / "a" / ".hidden").write_text("3")
    os.utime(tmp_path / "a" / "x", (1, 1))
    assert artifacts.sha256_of(tmp_path / "a") == first
    (tmp_path / "a" / "y").rename(tmp_path / "a" / "z")
    assert artifacts.sha256_of(tmp_path / "a") != first


def test_a_known_hash(tmp_path: Path) -> None:
    """sha256 of `abc`, the first test vector of FIPS 180-2."""
    (tmp_path / "f").write_bytes(b"abc")
    assert artifacts.sha256_of(tmp_path / "f") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_commit_replaces_a_folder_whole(tmp_path: Path) -> None:
    """The new folder has nothing of the old one."""
    for name in ("old", "new"):
        staged = artifacts.staging_path(tmp_path / "out")
        staged.mkdir()
        (staged / name).write_text(name)
        artifacts.commit(staged, tmp_path / "out")
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["new"]


def test_a_killed_writers_leftovers_are_removed(tmp_path: Path) -> None:
    """The next writer of the same output tidies up; another output's are left alone."""
    (tmp_path / ".out.partial-1").mkdir()
    (tmp_path / ".other.partial-1").write_text("x")
    artifacts.staging_path(tmp_path / "out")
    assert [file.name for file in tmp_path.iterdir()] == [".other.partial-1"]


def test_in_a_shared_place_nobodys_work_is_removed(tmp_path: Path) -> None:
    """Two writers of one shared target get names of their own."""
    (tmp_path / ".out.partial-1").mkdir()
    names = {artifacts.staging_path(tmp_path / "out", shared=True).name for _ in range(3)}
    assert len(names) == 3
    assert (tmp_path / ".out.partial-1").exists()


def test_equal_values_are_equal_json(tmp_path: Path) -> None:
    """Key order does not show; NaN is refused, since JSON has none."""
    artifacts.write_json(tmp_path / "a", {"b": 1, "a": [1.5, None]})
    artifacts.write_json(tmp_path / "b", {"a": [1.5, None], "b": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        artifacts.write_json(tmp_path / "c", float("nan"))
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(("number", "kind", "code"), [(28, TryAgain, 75), (13, OutputNotWritable, 2)])
def test_a_full_disk_may_pass_and_no_permission_may_not(number: int, kind: type[StepError], code: int) -> None:
    """ENOSPC is worth another try (75), EACCES is the caller's to mend (2)."""
    failure = artifacts.writing_failed(Path("out"), OSError(number, os.strerror(number)))
    assert isinstance(failure, kind)
    assert failure.exit_code == code


def test_what_a_full_disk_did_not_take_is_named() -> None:
    """A table, by way of polars, and a file of a staged folder under the name that people know; and what to do."""
    full = Path("/dev/full")
    with pytest.raises(TryAgain, match=r"/dev/full: No space left on device; make room"):
        tables.write_parquet(full, pl.DataFrame({"a": [1.0]}))
    with (
        pytest.raises(TryAgain, match=r"output out/model/model.onnx: "),
        artifacts.writing(Path("out/.model.partial-17/model.onnx")),
    ):
        full.write_bytes(b"x")


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """Whatever it was: the first file that cannot be copied ends it, and what was copied is removed."""
    (tmp_path / "from" / "deep").mkdir(parents=True)
    (tmp_path / "from" / "a").write_text("a")
    (tmp_path / "from" / "deep" / "b").symlink_to("nowhere")
    with pytest.raises(OutputNotWritable, match="deep/b"):
        artifacts.copy_folder(tmp_path / "from", tmp_path / "to")
    assert not (tmp_path / "to").exists()


@every_version
def test_a_golden_contract_reads_and_writes_back(golden: str) -> None:
    """Reading and writing a golden contract of any supported version gives its bytes."""
    assert contract.parse(golden).to_json() == golden.strip()


def test_every_supported_version_has_its_golden_file() -> None:
    """A version without its file would be a promise that nothing holds."""
    assert {contract.parse(golden).version for golden in GOLDEN.values()} == set(contract.SUPPORTED_VERSIONS)


@every_version
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"version": 3}, "version 3, allowed 1, 2"),
        ({"name": "other"}, "no contract named"),
        ({"features": [{"name": "x"}]}, "incomplete"),
        ({"target": None}, "incomplete"),
    ],
)
def test_what_is_no_known_contract_is_refused(change: dict[str, object], told: str, golden: str) -> None:
    """The reason says what was found and what is allowed."""
    with pytest.raises(ValueError, match=told):
        contract.parse(json.dumps(json.loads(golden) | change))


def test_unknown_roles_are_an_error() -> None:
    """Asking for a role that no feature plays names it."""
    with pytest.raises(KeyError, match="rudder"):
        contract.parse(GOLDEN[2]).by_role("rudder")


def test_parts_with_different_contracts_are_no_table(tmp_path: Path) -> None:
    """All files of a table carry the same contract."""
    for name, text in (("a", GOLDEN[2]), ("b", GOLDEN[2].replace('"high":70.0', '"high":71.0'))):
        pl.DataFrame({"x": [1]}).write_parquet(tmp_path / f"{name}.parquet", metadata={contract.METADATA_KEY: text})
    with pytest.raises(StepError, match="another contract"):
        tables.read_contract(tmp_path)


def test_remote_artifacts_are_read_where_the_launcher_puts_them() -> None:
    """s3, minio and gs URIs map to the launcher's folders; a local path is itself."""
    wanted = {"s3://b/k": "/s3/b/k", "minio://b/k": "/minio/b/k", "gs://b/k": "/gcs/b/k", "/a/b": "/a/b"}
    assert {uri: str(executor.local_path(uri)) for uri in wanted} == wanted


@pytest.mark.parametrize("text", ["{", "[]", "3"])
def test_a_broken_executor_input_is_a_usage_error(text: str) -> None:
    """What is no JSON object is refused before any work."""
    with pytest.raises(UsageError, match="executor-input"):
        executor.ExecutorInput.parse(text)


def test_an_executor_input_may_come_by_file(tmp_path: Path) -> None:
    """`@FILE` is what the file holds; one that cannot be read is a usage error that names it."""
    file = tmp_path / "input.json"
    file.write_text('{"outputs": {"outputFile": "/out"}}')
    assert executor.ExecutorInput.parse(f"@{file}").output_file == Path("/out")
    with pytest.raises(UsageError, match=r"none\.json"):
        executor.ExecutorInput.parse(f"@{tmp_path / 'none.json'}")


@pytest.mark.parametrize(("text", "number"), [("3", 3), ("3.0", 3), ("3e2", 300), ("1000000", 1_000_000)])
def test_whole_numbers_are_read_tolerantly(text: str, number: int) -> None:
    """As KFP formats them from float64."""
    parse = whole_number("any").parser
    assert parse is not None
    assert parse(text) == number


def model(folder: Path) -> Path:
    folder.mkdir()
    (folder / verdict.MODEL_FILE).write_bytes(b"abc")
    return folder


def test_a_verdict_counts_for_its_model_alone(tmp_path: Path) -> None:
    """Passed, all gates passed, and this very graph: only then."""
    made = model(tmp_path / "model")
    gate = {"name": "a", "passed": True, "value": 0.5, "limit": 0.5}
    said = {"schema_version": 2, "passed": True, "gates": [gate], "model_sha256": verdict.model_sha256(made)}
    file = tmp_path / "verdict.json"
    file.write_text(json.dumps(good := verdict.sealed(said)))
    assert verdict.require_passed(file, made) == good
    changes: tuple[dict[str, object], ...] = (
        {"passed": 1},
        {"passed": None},
        {"gates": []},
        {"gates": [{"name": "a"}]},
        {"gates": [gate | {"value": 0.51}]},
        {"gates": [gate | {"value": "nan"}]},
        {"gates": [gate | {"value": True}]},
        {"gates": [gate | {"limit": None}]},
        {"model_sha256": ""},
    )
    for change in changes:
        file.write_text(json.dumps(verdict.sealed(said | change)))
        with pytest.raises(Refused, match=r"did not pass|another model"):
            verdict.require_passed(file, made)
    for seal in ({}, {"seal": None}, {"seal": "0" * 64}):
        file.write_text(json.dumps(said | seal))
        with pytest.raises(Refused, match="altered"):
            verdict.require_passed(file, made)
    file.write_text(json.dumps(good | {"note": "added by hand"}))
    with pytest.raises(Refused, match="altered"):
        verdict.require_passed(file, made)
    for text in ("", "null", "[]", json.dumps(good | {"schema_version": 99})):
        file.write_text(text)
        with pytest.raises(UnreadableArtifact):
            verdict.require_passed(file, made)


def test_arithmetic_is_pinned_before_numpy() -> None:
    """Importing a step sets what makes numpy and OpenBLAS compute alike on every CPU."""
    assert "X86_V4" in os.environ["NPY_DISABLE_CPU_FEATURES"]
    assert os.environ["OPENBLAS_CORETYPE"] == "Haswell"
