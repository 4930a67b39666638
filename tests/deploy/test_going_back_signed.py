"""Where a key is named, nothing comes into service by going back that is not signed by it: on every target, 65."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from brakeline_deploy.signing import KEY_VARIABLE
from brakeline_register import signing

from tests.conftest import Done, command
from tests.deploy.conftest import Place
from tests.deploy.releases import NAME, Made, release
from tests.deploy.test_deploy_and_rollback import State, registered, state, told
from tests.deploy.test_nothing_slips_through import proven
from tests.lineage.test_signing import pair
from tests.serving.conftest import start

__all__ = ["registered", "start", "state"]  # fixtures


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return pair(tmp_path_factory.mktemp("keys") / "ours")


def sign(made: Made, key: Path) -> None:
    """As register hands a signed version on."""
    known = json.loads(made.registered.read_text())
    made.registered.write_text(json.dumps({**known, "signature": json.loads(signing.sign(made.model, key))}))


def brought(made: Made) -> tuple[object, ...]:
    return "--registered", made.registered, "--model", made.model


def change(file: Path, **about: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | about))


SPOILED: dict[str, Callable[[Made, Path], object]] = {
    "unsigned": lambda _, __: None,
    "another key's": lambda made, at: sign(made, pair(at / "others")[0]),
    "another version": lambda made, _: change(made.registered, version="2"),
    "another graph": lambda made, _: change(made.registered, sha256="0" * 64),
    "no registration": lambda made, _: made.registered.write_text("[]"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_what_is_not_signed_does_not_come_back(case: str, keys: tuple[Path, Path], tmp_path: Path) -> None:
    """A model store: unsigned, of another key, or brought with another version's papers: nothing is changed."""
    store, one = proven(tmp_path, "1", "2"), release(tmp_path, "1", 1.0)
    SPOILED[case](one, tmp_path)
    where = ("--model-store", tmp_path / "store", "--verify-key", keys[1])
    done = command("brakeline-deploy", "rollback", *brought(one), *where)
    assert done.code == 65, done.stdout
    assert (store.primary(), store.proven()) == ("2", "2")
    assert "version" not in done.stdout


def test_without_a_signature_to_verify_nothing_comes_back(keys: tuple[Path, Path], tmp_path: Path) -> None:
    """The environment names the key as well; the message says how it is brought; then it is let in.

    An altered model is refused though its signature is good; and without a key nothing is asked.
    """
    store, one = proven(tmp_path, "1", "2"), release(tmp_path, "1", 1.0)
    where, key = ("--model-store", tmp_path / "store"), {KEY_VARIABLE: str(keys[1])}
    refused = command("brakeline-deploy", "rollback", *where, environment=key)
    assert refused.code == 65
    for words in ("`brakeline rollback`", "brakeline-register fetch --version 1", str(keys[1])):
        assert words in refused.error["message"]
    sign(one, keys[0])
    whole = (one.model / "golden.json").read_bytes()
    (one.model / "golden.json").write_bytes(whole + b" ")
    assert command("brakeline-deploy", "rollback", *brought(one), *where, environment=key).code == 65
    assert store.primary() == "2"
    (one.model / "golden.json").write_bytes(whole)
    done = command("brakeline-deploy", "rollback", *brought(one), *where, environment=key)
    assert done.code == 0, done.stderr
    assert (done.result["version"], store.primary()) == ("1", "1")
    proven(tmp_path, "3")
    assert command("brakeline-deploy", "rollback", *where).result["version"] == "1"


@pytest.mark.parametrize("product", ["rhoai-3.5"])
def test_on_a_cluster_as_well(
    place: Place, keys: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An InferenceService goes back to what is signed alone; a canary ends without, since nothing comes by that."""
    one, two = place.release("1"), place.release("2", 3.0)
    place.roll_out(one)
    place.roll_out(two)
    place.try_canary(place.release("3", 4.0), 50)
    monkeypatch.setenv(KEY_VARIABLE, str(keys[1]))
    assert place.deploy("rollback").result["instead_of"] == "3"
    for words in ((), brought(one)):
        refused = place.deploy("rollback", *words)
        assert refused.code == 65
        assert refused.error["allowed"] == str(keys[1])
        assert place.uri == two.uri
    sign(one, keys[0])
    done = place.deploy("rollback", *brought(one))
    assert done.code == 0, done.stderr
    assert (done.result["version"], place.uri) == ("1", one.uri)


def rolled_back(state: State, *words: object) -> Done:
    return state.brakeline("rollback", "--why", "late", *words)


def test_brakeline_rollback_brings_the_signature(state: State, keys: tuple[Path, Path], tmp_path: Path) -> None:
    """Nothing unsigned is deployed nor gone back to; signed later, it is, and the registry says so too."""
    for version in ("1", "2"):
        told(state.brakeline("deploy", version))
    asked = ("--verify-key", keys[1])
    assert state.brakeline("deploy", "3", *asked).code == 65
    assert state.brakeline("deploy", "3", "--plan", *asked).code == 65
    refused = rolled_back(state, *asked)
    assert refused.code == 65
    assert "sign it by `brakeline-register add --signing-key" in json.loads(refused.stdout)["error"]
    assert (state.primary(), state.live()) == ("2", "2")
    registry = f"sqlite:///{state.folder}/registry.sqlite"
    kept = {name: tmp_path / name for name in ("model", "passed-verdict", "registered")}
    words = [word for name, file in kept.items() for word in (f"--{name}", file)]
    assert command("brakeline-register", "fetch", "--version", "1", "--registry", registry, *words).code == 0
    keep = Path(json.loads(kept["registered"].read_text())["uri"]).parent
    signed = ("--signing-key", keys[0], "--keep", keep)
    added = command("brakeline-register", "add", *words, "--registry", registry, "--name", NAME, *signed)
    assert (added.code, added.result["version"]) == (0, "1")
    assert rolled_back(state, "--verify-key", pair(tmp_path / "others")[1]).code == 65
    assert told(rolled_back(state, *asked))["version"] == "1"
    assert (state.primary(), state.live()) == ("1", "1")
