"""The statement that register closes a lineage into: by the published rules, with every sha256, of this very model."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from brakeline_register import lineage as closing
from brakeline_register.registry import Source
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement
from stepkit import artifacts, lineage

from tests.conftest import HOUSE, command
from tests.lineage import toy

SHA256 = re.compile(r"[0-9a-f]{64}")


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> toy.Released:
    made = toy.run(tmp_path_factory.mktemp("toy") / "state")
    done = made.add()
    assert done.code == 0, done.stderr
    return made


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for one in value.values() for text in texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in texts(one)]
    return [value] if isinstance(value, str) else []


def test_it_is_an_in_toto_statement_of_slsa_provenance(released: toy.Released) -> None:
    """The official package's messages take it, with no field that they do not know but ours."""
    told = released.statement()
    assert told.keys() == {"_type", "subject", "predicateType", "predicate"}
    assert told["predicateType"] == "https://slsa.dev/provenance/v1"
    subjects = [ResourceDescriptor(name=one["name"], digest=one["digest"]).pb for one in told["subject"]]
    statement = Statement(subjects, told["predicateType"], told["predicate"])
    statement.validate()
    assert told["_type"] == statement.pb.type
    predicate = dict(told["predicate"])
    assert predicate.pop(closing.CHAIN)
    message = json_format.ParseDict(predicate, provenance_pb2.Provenance())
    definition, details = message.build_definition, message.run_details
    assert re.match(r"[a-z]+:", definition.build_type) and re.match(r"[a-z]+:", details.builder.id)
    assert definition.external_parameters.fields
    assert details.metadata.invocation_id == "run-1"
    for descriptor in (*definition.resolved_dependencies, *details.byproducts):
        # SLSA and in-toto: one of these at least, or it names nothing.
        assert descriptor.uri or descriptor.digest or descriptor.content
        ResourceDescriptor.copy_from_pb(descriptor).validate()


def test_the_subject_is_the_graph_and_the_model(released: toy.Released) -> None:
    """By the sha256 of either."""
    model = released.artifacts["model"]
    graph, folder = (one["digest"] for one in released.statement()["subject"])
    assert graph == {"sha256": artifacts.sha256_of(model / "model.onnx")}
    assert folder == dict.fromkeys(("sha256", "dirHash"), artifacts.sha256_of(model))


def test_a_folder_is_hashed_by_hand_as_told(released: toy.Released) -> None:
    """The line of docs/lineage.md, typed beside the model."""
    (line,) = re.findall(r"^    (\(cd model .+)$", (HOUSE / "docs" / "lineage.md").read_text(), re.MULTILINE)
    model = released.artifacts["model"]
    done = subprocess.run(["sh", "-c", line], cwd=model.parent, capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == artifacts.sha256_of(model)


def test_every_sha256_of_the_run_is_in_it(released: toy.Released) -> None:
    """Each artifact's, inputs as dependencies with a digest, and what came of the judging beside."""
    told = released.statement()
    found = {text for text in texts(told) if SHA256.fullmatch(text)}
    hashes = {name: artifacts.sha256_of(path) for name, path in released.artifacts.items() if name != "lineage"}
    assert not {name for name, sha256 in hashes.items() if sha256 not in found}
    definition = told["predicate"]["buildDefinition"]
    dependencies = {
        one["digest"]["sha256"] for one in definition["resolvedDependencies"] if "sha256" in one.get("digest", {})
    }
    assert dependencies == {hashes[name] for name in ("part-0", "part-1", "recorded", "dataset", "holdout", "model")}
    byproducts = {one["name"]: one["digest"]["sha256"] for one in told["predicate"]["runDetails"]["byproducts"]}
    assert byproducts == {name: hashes[name] for name in ("verdict", "measurements")}


def test_it_tells_image_revision_and_parameters(released: toy.Released) -> None:
    """Of every call in our own part, and summed up where SLSA looks for them."""
    predicate = released.statement()["predicate"]
    calls = [call for group in predicate[closing.CHAIN]["calls"] for call in lineage.expand(group)]
    assert [call.verb for call in calls].count("generate") == 2
    assert {(call.image, call.revision, call.version) for call in calls} == {(toy.IMAGE, toy.REVISION, "7")}
    definition = predicate["buildDefinition"]
    assert definition["externalParameters"]["calls"]["brakeline-toy generate"] == {"shard": ["0/2", "1/2"]}
    named = {one["name"]: one for one in definition["resolvedDependencies"]}
    assert named["code of brakeline-toy"]["uri"] == f"oci:{toy.IMAGE}"
    assert named[f"git revision {toy.REVISION}"]["digest"] == {"gitCommit": toy.REVISION}


def test_the_registry_knows_its_hash(released: toy.Released) -> None:
    """The version names the file, so that no byte of it changes unseen; adding the model again changes nothing."""
    assert released.add().result["version"] == "1"
    (about,) = released.state.glob("registry-models/*.about")
    listed = command("brakeline-register", "list", "--registry", released.registry).result["versions"]
    assert listed[0]["papers"]["lineage"]["sha256"] == artifacts.sha256_of(about / "lineage.json")


def test_the_same_chain_gives_the_same_statement(released: toy.Released) -> None:
    """No clock is in it, and no path."""
    given = released.artifacts
    calls = closing.gather(given["lineage"], given["model"], given["verdict"])
    judged = json.loads(given["verdict"].read_text())
    source = Source("run-1", "brakeline", toy.REVISION)
    closed = closing.close(calls[::-1], given["model"], judged, toy.NAME, source)
    assert closed == released.statement()
    assert str(released.state) not in json.dumps(closed)


def test_without_validates_lineage_the_models_own_is_told(released: toy.Released, tmp_path: Path) -> None:
    """By a person with a model and a verdict alone: what the model's folder tells, and no judging."""
    given = released.artifacts
    calls = closing.gather(None, given["model"], given["verdict"])
    assert sorted(call.verb for call in calls) == ["assemble", "fit", "generate", "generate"]


def test_a_version_that_is_fetched_keeps_its_past(released: toy.Released, tmp_path: Path) -> None:
    """The model again tells all that it told, and that it was fetched."""
    options = [word for name in ("model", "passed-verdict", "registered") for word in (f"--{name}", tmp_path / name)]
    done = command("brakeline-register", "fetch", "--version", "1", "--registry", released.registry, *options)
    assert done.code == 0, done.stderr
    verbs = sorted(call.verb for call in lineage.read(tmp_path / "model" / lineage.FILE))
    assert verbs == ["assemble", "fetch", "fit", "generate", "generate"]


def test_anothers_lineage_is_refused(released: toy.Released, tmp_path: Path) -> None:
    """65, and nothing is registered: a wrong origin is worse than none."""
    other = toy.run(tmp_path / "other", shards=1)
    for wrong in (other.artifacts["lineage"], released.artifacts["verdict"], tmp_path / "other" / "stops.csv"):
        done = other.add(
            **{name: path for name, path in released.artifacts.items() if name != "lineage"}, lineage=wrong
        )
        assert done.code == 65, done.stdout
        assert str(wrong) in done.error["message"]
    assert not list(other.state.glob("registry-models/*"))


@pytest.mark.parametrize(
    ("revision", "digest", "dirty"),
    [
        ("a" * 40, {"gitCommit": "a" * 40}, False),
        (f"{'a' * 40}-dirty", {"gitCommit": "a" * 40}, True),
        ("release 3", None, False),
    ],
)
def test_a_revision_is_told_as_what_it_is(revision: str, digest: dict[str, str] | None, dirty: bool) -> None:
    """A commit has a digest; what is none has not; a changed tree is said to be one."""
    (told,) = closing._revisions([], Source(revision=revision))
    assert told.get("digest") == digest
    assert told["annotations"] == {"dirty": dirty}
    assert told["name"].endswith(revision)
