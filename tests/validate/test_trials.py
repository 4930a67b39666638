"""The table of trials in the dossier: what the search tried and gained, and no dossier from a broken table."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from brakeline_validate import trials
from stepkit.errors import UnreadableArtifact

from tests.conftest import Chain, Done, command
from tests.steps.verbs import VERBS


def row(index: int, rank: int, *scores: float, chosen: bool = False) -> dict[str, Any]:
    return {"index": index, "parameters": {"max_iter": 100 + index}, "rank": rank, "rows": 2000, "scores": list(scores),
            "chosen": chosen}  # fmt: skip


def table() -> dict[str, Any]:
    """A search of 30 settings whose second rung chose number 7."""
    first = [row(index, 30 - index, 0.9 - index / 100, chosen=index in (0, 7)) for index in range(29, -1, -1)]
    second = [row(7, 1, 0.18, 0.36, 0.27, chosen=True), row(0, 2, 0.2, 0.4, 0.3)]
    rungs = [{"name": "search", "divisions": 1, "trials": first}, {"name": "refine", "divisions": 3, "trials": second}]
    return {"schema_version": 1, "rungs": rungs}


def write(folder: Path, content: object) -> Path:
    (folder / trials.TRIALS_FILE).write_text(json.dumps(content))
    return folder


def test_gains_are_paired_with_the_defaults(tmp_path: Path) -> None:
    """A tenth less on each of three divisions is a gain of 10 % without spread, though the scores spread widely."""
    first, second = trials.read(write(tmp_path, table()))
    assert (first.rows, first.divisions, second.divisions) == (2000, 1, 3)
    assert second.best.gain == pytest.approx(0.1)
    assert second.best.gain_sd == pytest.approx(0.0, abs=1e-12)
    assert second.best.sd == pytest.approx(0.09)
    assert first.best.gain_sd is None
    assert [one.gain for one in second.trials if one.is_default] == [0.0]


def test_a_long_search_is_cut_but_never_its_defaults_nor_what_it_chose(tmp_path: Path) -> None:
    """Twenty by rank, and below them the setting that went on and the defaults."""
    first, _ = trials.read(write(tmp_path, table()))
    assert [one.rank for one in first.shown] == [*range(1, 21), 23, 30]


def test_a_model_without_a_table_has_none(tmp_path: Path) -> None:
    """Models of earlier makers have no such file."""
    assert trials.read(tmp_path) == []


def broken() -> dict[str, object]:
    kinds: dict[str, Any] = {name: table() for name in ("version", "no defaults", "rank", "score", "scores", "nan")}
    kinds["version"]["schema_version"] = 2
    kinds["no defaults"]["rungs"][1]["trials"].pop()
    kinds["rank"]["rungs"][1]["trials"][0]["rank"] = 3
    kinds["score"]["rungs"][1]["trials"][0]["scores"][0] = -1.0
    kinds["scores"]["rungs"][1]["trials"][0]["scores"].pop()
    kinds["nan"]["rungs"][1]["trials"][0]["scores"][0] = float("nan")
    return {**kinds, "list": [], "nothing": None, "text": "x", "no rungs": {"schema_version": 1}}


@pytest.mark.parametrize("kind", broken())
def test_a_broken_table_is_bad_data(kind: str, tmp_path: Path) -> None:
    """It ends with 65 and names the file; what cannot be read is not shown."""
    with pytest.raises(UnreadableArtifact, match=r"trials\.json"):
        trials.read(write(tmp_path, broken()[kind]))


def validate(chain: Chain, model: Path, out: Path) -> Done:
    (verb,) = (verb for verb in VERBS if verb.name == "validate validate")
    return command(*verb.words(chain.folder, out, model=model))


def test_the_dossier_shows_both_rungs(tiny: Chain, tmp_path: Path) -> None:
    """Ranks, parameters, scores and gains with their spread; the chosen setting and the defaults are marked."""
    shutil.copytree(tiny.model, tmp_path / "model", ignore=shutil.ignore_patterns(".lineage.json"))
    done = validate(tiny, write(tmp_path / "model", table()), tmp_path / "out")
    assert done.code == 0, done.stderr
    page = (tmp_path / "out" / "dossier").read_text()
    assert page.index("refine: 2 settings on 2,000 rows, 3 divisions") < page.index("search: 30 settings")
    for text in ("22 shown", "+10.0 ± 0.0", "0.2700 ± 0.0900", ">max iter<", ">107<", "defaults", "chosen", "went on"):
        assert text in page, text


def test_no_dossier_from_a_broken_table(tiny: Chain, tmp_path: Path) -> None:
    """The step ends with 65 and writes nothing; without a table it goes on."""
    shutil.copytree(tiny.model, tmp_path / "model", ignore=shutil.ignore_patterns(".lineage.json"))
    done = validate(tiny, write(tmp_path / "model", []), tmp_path / "out")
    assert done.code == 65
    assert "trials.json" in done.error["message"]
    assert not list((tmp_path / "out").iterdir())
    (tmp_path / "model" / trials.TRIALS_FILE).unlink()
    assert validate(tiny, tmp_path / "model", tmp_path / "out").code == 0
