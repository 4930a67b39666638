"""Kept models: by content, whole or absent, checked when they are fetched, and outliving the run that made them."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from brakeline_register import keeping
from brakeline_register.keeping import NotKept
from brakeline_register.registry import State, Version
from stepkit import artifacts
from stepkit.errors import ArtifactAltered, StepError, UsageError
from stepkit.verdict import model_sha256

from tests.conftest import BIN
from tests.orchestrator import object_store
from tests.register.registries import NAME, entry

PAPERS = {"verdict": b"{}", "card": b"# card"}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    made = tmp_path / "run" / "model"
    made.mkdir(parents=True)
    (made / "model.onnx").write_bytes(b"a graph")
    (made / "golden.json").write_text("{}")
    (made / ".lineage.json").write_text('{"hidden": true}')
    return made


@pytest.fixture(params=["folder", "s3"])
def keep(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A place to keep models of each kind: a folder, and a prefix in a store over a real socket."""
    if request.param == "folder":
        yield str(tmp_path / "keep")
        return
    with object_store.serving() as store:
        for name, value in store.environment().items():
            monkeypatch.setenv(name, value)
        yield "s3://bucket/models"


def version(model: Path, kept: keeping.Kept) -> Version:
    told = entry("a", sha256=model_sha256(model), folder_sha256=artifacts.sha256_of(model))
    return Version(**{**vars(told), "uri": kept.uri, "papers": kept.papers}, model=NAME, version="1",
                   state=State.REGISTERED, created_at="")  # fmt: skip


def put(keep: str, model: Path) -> Version:
    return version(model, keeping.put(keep, model_sha256(model), model, PAPERS))


def test_versions_outlive_the_run_that_made_them(keep: str, model: Path, tmp_path: Path) -> None:
    """The model as given, hidden files too, and the papers beside it, after the run's own folder is gone."""
    made = put(keep, model)
    before = {file.name: file.read_bytes() for file in model.iterdir()}
    shutil.rmtree(model)
    keeping.bring(made, tmp_path / "again")
    assert {file.name: file.read_bytes() for file in (tmp_path / "again").iterdir()} == before
    assert keeping.read_paper(made, "verdict") == b"{}"
    assert made.uri == f"{keep}/{made.sha256}"
    assert {name: paper.uri for name, paper in made.papers.items()} == {
        "verdict": f"{made.uri}.about/verdict.json",
        "card": f"{made.uri}.about/card.md",
    }
    graph = tmp_path / "graph"
    graph.mkdir()
    keeping.bring_graph(made, graph)
    assert (graph / "model.onnx").read_bytes() == before["model.onnx"]


def test_the_first_papers_stand(keep: str, model: Path) -> None:
    """Keeping the same content again writes nothing, and tells the papers that are there."""
    first = put(keep, model)
    again = keeping.put(keep, first.sha256, model, {**PAPERS, "card": b"other"})
    assert dict(again.papers) == dict(first.papers)
    assert keeping.read_paper(first, "card") == b"# card"


@pytest.mark.parametrize("name", ["model.onnx", "golden.json"])
def test_a_flipped_byte_is_refused(name: str, model: Path, tmp_path: Path) -> None:
    """In the graph as in any other file that is kept, and in a paper."""
    made = put(str(tmp_path / "keep"), model)
    file = Path(made.uri) / name
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(ArtifactAltered):
        keeping.bring(made, tmp_path / "again")
    Path(made.papers["card"].uri).write_text("# curd")
    with pytest.raises(ArtifactAltered):
        keeping.read_paper(made, "card")


def test_an_altered_object_is_refused(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a store sends is held to the registry's sha256, also where the store's own record was changed with it."""
    with object_store.serving() as store:
        for name, value in store.environment().items():
            monkeypatch.setenv(name, value)
        made = put("s3://bucket/models", model)
        for key in [key for key in store.objects if key.endswith(("model.onnx", "card.md"))]:
            store.objects[key] = b"something else"
            store.metadata[key] = {}
        with pytest.raises(StepError, match="altered"):
            keeping.bring(made, tmp_path / "again")
        with pytest.raises(StepError, match="altered"):
            keeping.read_paper(made, "card")


def test_what_is_gone_is_told(keep: str, model: Path, tmp_path: Path) -> None:
    """A version that was pruned, and a paper that never was: 65, which one, and where it should be."""
    made = put(keep, model)
    assert keeping.forget(made.uri) >= artifacts.size_of(model)  # in a store a listing of them lies beside the files
    assert not keeping.forget(made.uri)
    with pytest.raises(StepError, match=made.sha256) as gone:
        keeping.bring(made, tmp_path / "again")
    assert gone.value.exit_code == 65
    assert keeping.read_paper(made, "card") == b"# card"
    with pytest.raises(NotKept, match="dossier"):
        keeping.read_paper(made, "dossier")


def test_what_a_killed_process_left_is_tidied(model: Path, tmp_path: Path) -> None:
    """Half a copy under a hidden name is no model, and the next call removes it."""
    sha256 = model_sha256(model)
    half = tmp_path / "keep" / f".{sha256}.partial-1"
    half.mkdir(parents=True)
    (half / "model.onnx").write_bytes(b"a gr")
    made = put(str(tmp_path / "keep"), model)
    keeping.bring(made, tmp_path / "again")
    assert not half.exists()


def test_many_processes_keep_the_same_content_at_once(model: Path, tmp_path: Path) -> None:
    """Eight at once: nobody fails, and one whole copy is there."""
    script = (
        "import sys; from pathlib import Path; from brakeline_register import keeping;"
        "keeping.put(sys.argv[1], 'a' * 64, Path(sys.argv[2]), {'card': b'# card'})"
    )
    words = [str(BIN / "python"), "-c", script, str(tmp_path / "keep"), str(model)]
    calls = [subprocess.Popen(words, stderr=subprocess.PIPE, text=True) for _ in range(8)]
    for call in calls:
        assert call.wait(60) == 0, call.communicate()[1]
    assert sorted(file.name for file in (tmp_path / "keep").iterdir()) == [".lock", "a" * 64, f"{'a' * 64}.about"]
    assert artifacts.sha256_of(tmp_path / "keep" / ("a" * 64)) == artifacts.sha256_of(model)


def test_where_models_are_kept() -> None:
    """Beside an embedded registry, or where --keep says; another registry has no place of its own."""
    assert keeping.place("", "sqlite:////state/registry.sqlite") == "/state/registry-models"
    assert keeping.place("/models", "sqlite:////state/registry.sqlite") == "/models"
    assert keeping.place("s3://bucket/models", "https://registry") == "s3://bucket/models"
    with pytest.raises(UsageError, match="--keep"):
        keeping.place("", "https://registry")


def test_a_card_is_the_same_for_the_same_model(model: Path) -> None:
    """No time and no place is in it, so that two runs of one model keep one card; it tells use and bounds."""
    from brakeline_register import card

    judged = json.loads('{"overall": {"mae_m": 1.25}, "training": {}, "gates": [], "gate_version": 4}')
    text = card.write(NAME, entry("a"), judged)
    assert text == card.write(NAME, entry("a"), judged)
    for words in ("| mae_m | 1.25 |", "no certified controller", "run-1", "0123abc", "a" * 64):
        assert words in text
