"""A key pair: register signs what it keeps, deploy serves nothing that is not signed, altered or of another key."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from brakeline_deploy import rollout
from brakeline_deploy.signing import KEY_VARIABLE
from brakeline_register import signing
from stepkit.errors import Refused, UsageError

from tests.conftest import command
from tests.lineage import toy
from tests.register.registries import service


def pair(folder: Path, curve: str = "prime256v1") -> tuple[Path, Path]:
    """A private key and its public one, as a person makes them."""
    folder.mkdir()
    private, public = folder / "key.pem", folder / "key.pub"
    for words in (
        ("ecparam", "-name", curve, "-genkey", "-noout", "-out", private),
        ("ec", "-in", private, "-pubout", "-out", public),
    ):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
    return private, public


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return pair(tmp_path_factory.mktemp("keys") / "ours")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, keys: tuple[Path, Path]) -> toy.Released:
    """A version that was signed as it was registered."""
    run = toy.run(tmp_path_factory.mktemp("toy") / "state")
    done = run.add("--signing-key", keys[0])
    assert done.code == 0, done.stderr
    return run


@pytest.fixture
def signed(made: toy.Released, tmp_path: Path) -> toy.Released:
    """A copy of it that a test may spoil."""
    shutil.copytree(made.state, tmp_path / "state")
    at = {name: tmp_path / "state" / path.relative_to(made.state) for name, path in made.artifacts.items()}
    return toy.Released(tmp_path / "state", at)


def admit(released: toy.Released, key: Path | str, model: Path | None = None) -> str:
    """What deploy lets in; the same call that `apply` and `plan` begin with."""
    known, given = released.state / "registered", released.artifacts
    with rollout.admitted(known, given["verdict"], model or given["model"], verify_key=str(key)) as release:
        assert "signature" not in release.about
        return release.version


def change(file: Path, how: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(file.read_text())
    how(content)
    file.write_text(json.dumps(content))


def test_what_is_signed_is_let_in(signed: toy.Released, keys: tuple[Path, Path]) -> None:
    """By its public key, whatever the folder is called; and where no key is named nothing is asked."""
    assert admit(signed, keys[1]) == "1"
    assert admit(signed, "") == "1"
    kept = next(path.parent for path in signed.state.glob("registry-models/*/model.onnx"))
    assert admit(signed, keys[1], kept) == "1"


def test_the_standards_own_command_says_the_same(made: toy.Released, keys: tuple[Path, Path]) -> None:
    """OpenSSF's command line takes the kept signature, and refuses it for another model."""
    (kept,) = made.state.glob("registry-models/*/model.onnx")
    (signature,) = made.state.glob("registry-models/*.about/signature.json")
    for folder, code in ((kept.parent, 0), (made.artifacts["holdout"], 1)):
        words = ("verify", "key", folder, "--signature", signature, "--public_key", keys[1])
        assert command("model_signing", *words).code == code


def test_its_own_past_is_not_covered(signed: toy.Released, keys: tuple[Path, Path]) -> None:
    """The same bytes made by other code are signed too: the hidden lineage may differ or be gone."""
    (signed.artifacts["model"] / ".lineage.json").write_text("{}")
    assert admit(signed, keys[1]) == "1"
    (signed.artifacts["model"] / ".lineage.json").unlink()
    assert admit(signed, keys[1]) == "1"


def _link(file: Path, elsewhere: Path) -> None:
    file.rename(elsewhere)
    file.symlink_to(elsewhere)


SPOILED: dict[str, Callable[[toy.Released], object]] = {
    "another golden request": lambda at: (at.artifacts["model"] / "golden.json").write_text("{ }"),
    "a file more": lambda at: (at.artifacts["model"] / "more").write_text(""),
    "a file less": lambda at: (at.artifacts["model"] / "golden.json").unlink(),
    "a link instead of a file": lambda at: _link(at.artifacts["model"] / "golden.json", at.state / "golden.json"),
    "no signature": lambda at: change(at.state / "registered", lambda told: told.pop("signature")),
    "an empty signature": lambda at: change(at.state / "registered", lambda told: told.update(signature={})),
    "no object": lambda at: change(at.state / "registered", lambda told: told.update(signature="yes")),
    "a list": lambda at: change(at.state / "registered", lambda told: told.update(signature=[1])),
    "no envelope": lambda at: change(at.state / "registered", lambda told: told["signature"].pop("dsseEnvelope")),
    "no signatures": lambda at: change(
        at.state / "registered", lambda told: told["signature"]["dsseEnvelope"].update(signatures=[])
    ),
    "another payload": lambda at: change(
        at.state / "registered", lambda told: told["signature"]["dsseEnvelope"].update(payload="e30=")
    ),
}


@pytest.mark.parametrize("case", SPOILED)
def test_what_is_not_as_signed_is_refused(case: str, signed: toy.Released, keys: tuple[Path, Path]) -> None:
    """65: altered, more, less, linked, unsigned, or with a signature that is none."""
    SPOILED[case](signed)
    with pytest.raises(Refused) as refused:
        admit(signed, keys[1])
    assert refused.value.exit_code == 65
    assert "signed" in str(refused.value)


@pytest.mark.parametrize("curve", ["prime256v1", "secp384r1"])
def test_another_key_is_refused(curve: str, signed: toy.Released, tmp_path: Path) -> None:
    """Of the same curve or another."""
    with pytest.raises(Refused):
        admit(signed, pair(tmp_path / "others", curve)[1])


@pytest.mark.parametrize("text", [None, "", "no key", "private"])
def test_what_is_no_public_key_is_a_usage_error(
    text: str | None, signed: toy.Released, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    """2, never a model let in; nor is what the file holds told."""
    file = tmp_path / "file"
    if text is not None:
        file.write_text(keys[0].read_text() if text == "private" else text)
    with pytest.raises(UsageError) as refused:
        admit(signed, file)
    assert str(file) in str(refused.value)
    assert "PRIVATE" not in str(refused.value) + str(refused.value.facts)


def test_the_environment_names_the_key_of_every_deployment(signed: toy.Released, tmp_path: Path) -> None:
    """Through the command line: with BRAKELINE_VERIFY_KEY set the step refuses another's, before it asks any server."""
    given = signed.artifacts
    words = ("brakeline-deploy", "plan", "--model", given["model"], "--passed-verdict", given["verdict"],
             "--registered", signed.state / "registered", "--model-store", tmp_path / "models")  # fmt: skip
    assert command(*words).code == 0
    done = command(*words, environment={KEY_VARIABLE: str(pair(tmp_path / "others")[1])})
    assert done.code == 65
    assert "not what was signed" in done.error["message"]
    assert len(done.stdout.splitlines()) == 0


@pytest.fixture(params=["sqlite", "kubeflow 0.3.8"])
def registry(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A registry of each kind, empty."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/state/registry.sqlite"
        return
    with service("0.3.8", tmp_path, monkeypatch) as held:
        yield held.url
    assert held.breaches == []


def test_a_version_is_signed_later_and_again_on_record(
    registry: str, tmp_path: Path, keys: tuple[Path, Path]
) -> None:
    """Registered without a key it is refused; added again with one it is signed; once more changes nothing.

    With another key the signature is that key's, and the one before stands: who, when and why is on record, and nothing
    of it is altered for `brakeline lineage`, until a byte of the last one is.
    """
    run, other = toy.run(tmp_path / "state", shards=1), pair(tmp_path / "other")
    where = ("--registry", registry, "--keep", tmp_path / "keep")
    assert run.add(*where).code == 0
    with pytest.raises(Refused, match="not signed"):
        admit(run, keys[1])
    kept: list[set[Path]] = []
    for private, _ in (keys, keys, other, other):
        done = run.add(*where, "--signing-key", private)
        assert done.code == 0, done.stderr
        kept.append(set(tmp_path.glob("keep/*.about/signature*.json")))
    assert [len(files) for files in kept] == [1, 1, 2, 2]
    assert admit(run, other[1]) == "1"
    with pytest.raises(Refused):
        admit(run, keys[1])
    papers = command("brakeline-register", "show", "--version", "1", "--registry", registry).result["papers"]
    assert papers["signature"]["why"] == "signed later"
    assert papers["signature-2"]["why"].startswith("signed again")
    assert {Path(papers[name]["uri"]) for name in ("signature", "signature-2")} == kept[-1]
    assert all(papers[name]["by"] and papers[name]["at"] for name in ("signature", "signature-2"))
    shown = command("brakeline", "models", "show", "1", "--registry", registry, environment={"COLUMNS": "300"}).stdout
    assert f"signed later, by {papers['signature']['by']}" in shown
    looked = ("brakeline", "lineage", "1", "--state", run.state, "--registry", registry, "--json")
    assert command(*looked).result["status"] == "intact"
    last = Path(papers["signature-2"]["uri"])
    last.write_bytes(last.read_bytes()[:-1] + b"!")
    assert [one["artifact"] for one in command(*looked).result["altered"]] == ["signature-2"]


def test_another_names_version_of_the_same_model_is_signed(tmp_path: Path, keys: tuple[Path, Path]) -> None:
    """Its papers are those of the first, which was not signed: it is, and says so in its registration."""
    run = toy.run(tmp_path / "state", shards=1)
    assert run.add().code == 0
    done = run.add("--name", "other", "--signing-key", keys[0])
    assert done.code == 0, done.stderr
    assert admit(run, keys[1]) == "1"


def test_a_signature_of_before_they_were_recorded_is_taken(tmp_path: Path, keys: tuple[Path, Path]) -> None:
    """It lies where all did, and no registry knows it: handed on as ever, and recorded once somebody signs again."""
    run = toy.run(tmp_path / "state", shards=1)
    assert run.add().code == 0
    (about,) = run.state.glob("registry-models/*.about")
    (about / "signature.json").write_bytes(signing.sign(run.artifacts["model"], keys[0]))
    for more in ((), ("--signing-key", keys[0])):
        assert run.add(*more).code == 0
        assert admit(run, keys[1]) == "1"
    shown = command("brakeline-register", "show", "--version", "1", "--registry", run.registry).result
    assert shown["papers"]["signature"]["uri"] == str(about / "signature.json")
    assert len(list(about.glob("signature*"))) == 1


def test_a_fetched_version_brings_its_signature(signed: toy.Released, keys: tuple[Path, Path], tmp_path: Path) -> None:
    """What deploy is handed of a version of long ago."""
    out = tmp_path / "fetched"
    options = [word for name in ("model", "passed-verdict", "registered") for word in (f"--{name}", out / name)]
    registry = f"sqlite:///{signed.state}/registry.sqlite"
    done = command("brakeline-register", "fetch", "--version", "1", "--registry", registry, *options)
    assert done.code == 0, done.stderr
    with rollout.admitted(
        out / "registered", out / "passed-verdict", out / "model", verify_key=str(keys[1])
    ) as release:
        assert release.version == "1"


@pytest.mark.parametrize("text", [None, "", "no key", "rsa", "public"])
def test_what_is_no_private_key_is_a_usage_error(
    text: str | None, keys: tuple[Path, Path], tmp_path: Path, made: toy.Released
) -> None:
    """2, nothing is registered, and nothing that the file holds is told."""
    file, state = tmp_path / "file", tmp_path / "state"
    if text == "rsa":
        subprocess.run(["openssl", "genrsa", "-out", str(file), "2048"], check=True, capture_output=True)
    elif text is not None:
        file.write_text(keys[1].read_text() if text == "public" else text)
    state.mkdir()
    done = toy.Released(state, made.artifacts).add("--signing-key", file)
    assert done.code == 2, done.stdout + done.stderr
    assert str(file) in done.error["message"]
    assert "BEGIN" not in done.stderr
    assert not list(state.glob("registry-models/*"))
