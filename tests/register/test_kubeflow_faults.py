"""A Kubeflow Model Registry that fails: nothing is lost, nothing is doubled, and the error says what to mend."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from brakeline_register import connection
from brakeline_register.attempts import Attempt
from brakeline_register.registry import Registry, State, open_registry
from stepkit.errors import Refused, ServiceUnavailable, StepError

from tests.register.registries import NAME, entry, service
from tests.register.stand_in import TOKEN, Fault, StandIn

ATTEMPT = Attempt("d" * 64, "f" * 64, "a" * 64, 4, False, ("parity",))
# What a run does with a registry, each on what the one before left.
WORK: dict[str, Callable[[Registry], object]] = {
    "record": lambda kept: kept.record(NAME, ATTEMPT),
    "add": lambda kept: kept.add(NAME, entry("a")),
    "promote": lambda kept: kept.set_state(NAME, "1", State.LIVE, by="ann", why="good"),
    "read": lambda kept: (kept.live(NAME), kept.attempts(NAME)),
}
WRITES = {
    "record": ["createRegisteredModel", "createModelVersion", "upsertModelVersionArtifact"],
    "add": ["createModelVersion", "upsertModelVersionArtifact"],
    "promote": ["upsertModelVersionArtifact", "updateModelVersion"],
}
PASSING = [
    Fault(status=500, times=2),
    Fault(status=503, times=2, headers={"Retry-After": "0"}),
    Fault(status=429, times=2, headers={"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}),
    Fault(how="text", status=502, times=2),
    Fault(how="slow", times=1),
    Fault(how="reset", times=2),
    Fault(how="lost", times=2),
]


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    monkeypatch.setattr(connection, "_FIRST_DELAY_S", 0.005)
    monkeypatch.setenv(connection.TIMEOUT, "0.5")
    with service("0.2.19", tmp_path, monkeypatch) as held:
        yield held


def whole(held: StandIn) -> None:
    """What there is to be after the work, whatever went wrong on the way: each thing once."""
    kept = open_registry(held.url)
    (version,) = kept.list(NAME)
    assert (version.sha256, version.state, version.papers) == ("a" * 64, State.LIVE, entry("a").papers)
    assert [(one.by, one.why) for one in kept.changes(NAME)] == [("ann", "good")]
    assert [one.model_sha256 for one in kept.attempts(NAME)] == ["a" * 64]
    assert sorted(one["name"] for one in held.versions) == ["1", "attempts", "changes"]
    names = [(of, one["name"]) for of, one in held.artifacts]
    assert len(names) == len(set(names)) == 5
    assert [model["name"] for model in held.models] == [NAME]
    assert held.breaches == []


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: f"{fault.how} {fault.status}".strip())
def test_what_passes_is_asked_again(fault: Fault, held: StandIn) -> None:
    """Each kind of passing failure, at every first request of each piece of work: all is done, and once."""
    for work in WORK.values():
        held.faults = [Fault(fault.how, fault.status, times=fault.times, headers=fault.headers)]
        work(open_registry(held.url))
        assert held.faults[0].times == 0
    whole(held)


@pytest.mark.parametrize(("work", "operation"), [(work, one) for work, many in WRITES.items() for one in many])
@pytest.mark.parametrize("how", ["lost", "reset"])
def test_a_write_whose_answer_is_lost_is_not_doubled(work: str, operation: str, how: str, held: StandIn) -> None:
    """The service did it and nobody heard: asked again it says that it is there, and that is as well."""
    for name, step in WORK.items():
        held.faults = [Fault(how=how, operation=operation, times=2)] if name == work else []
        step(open_registry(held.url))
    whole(held)


@pytest.mark.parametrize(("work", "operation"), [(work, one) for work, many in WRITES.items() for one in many])
def test_work_that_was_cut_off_is_finished_by_the_same_call(work: str, operation: str, held: StandIn) -> None:
    """A service that stays down ends it with 69, wherever it was; the same call later ends well, nothing is twice."""
    for name, step in WORK.items():
        if name == work:
            held.faults = [Fault(status=500, operation=operation, times=99)]
            with pytest.raises(ServiceUnavailable, match="asked 5 times") as down:
                step(open_registry(held.url))
            assert down.value.exit_code == 69
            held.faults = []
        step(open_registry(held.url))
    whole(held)


@pytest.mark.parametrize("written", range(1, 4))
def test_a_version_that_nobody_finished_is_none_yet(written: int, held: StandIn) -> None:
    """Killed after the version's entry, or between its artifacts: it is not listed, and adding again finishes it."""
    kept = open_registry(held.url)
    kept.add(NAME, entry("b"))
    with pytest.raises(ServiceUnavailable):
        cut_off(held, kept, written)
    held.faults = []
    assert [version.sha256[0] for version in kept.list(NAME)] == ["b"]
    assert kept.by_content(NAME, "a" * 64) is None
    assert kept.add(NAME, entry("c")).version == "3"
    assert kept.add(NAME, entry("a")).version == "2"
    assert [version.version for version in kept.list(NAME)] == ["1", "2", "3"]
    assert kept.find(NAME, "2").papers == entry("a").papers


def cut_off(held: StandIn, kept: Registry, written: int) -> None:
    """Add a model, with `written` things of it written before the service goes down."""
    many = len(held.artifacts) + written - 1
    held.faults = [Fault(status=500, operation="upsertModelVersionArtifact", times=99)]
    answer = held.fault
    held.fault = lambda operation: answer(operation) if len(held.artifacts) >= many else None  # type: ignore[method-assign]
    try:
        kept.add(NAME, entry("a"))
    finally:
        held.fault = answer  # type: ignore[method-assign]


def test_a_race_that_was_lost_ends_in_what_is_there(held: StandIn) -> None:
    """409 because another was first with the same content: its version; with other content: the next number."""
    kept = open_registry(held.url)
    kept.add(NAME, entry("b"))
    answer, seen = held.createModelVersion, list[str]()

    def overtaken(within: object, query: object, body: dict[str, str]) -> tuple[int, object]:
        """Another writer adds the same content under this very number, in the last instant."""
        if not seen:
            seen.append(body["name"])
            answer(within, query, dict(body))
        return answer(within, query, body)

    held.createModelVersion = overtaken  # type: ignore[method-assign, assignment]
    assert kept.add(NAME, entry("a")).version == "2"
    assert seen == ["2"]
    assert [version.version for version in kept.list(NAME)] == ["1", "2"]


DENIALS = [
    (Fault(status=401, times=9), StepError, 65, "denies find_registered_model .401."),
    (Fault(status=403, times=9), StepError, 65, "BRAKELINE_REGISTRY_TOKEN_FILE"),
    (Fault(status=400, times=9), Refused, 65, "refuses find_registered_model: told to answer 400"),
    (Fault(how="page", times=9), ServiceUnavailable, 69, "none of a Model Registry"),
    (Fault(how="text", status=404, times=9), ServiceUnavailable, 69, "is --registry the address of a Model Registry"),
]


@pytest.mark.parametrize(("fault", "kind", "code", "words"), DENIALS)
@pytest.mark.parametrize("work", ["add", "read"])
def test_what_does_not_pass_is_told_at_once(
    work: str, fault: Fault, kind: type[StepError], code: int, words: str, held: StandIn
) -> None:
    """A refusal, a page of something else, a wrong address: one request, what to mend, and never the token."""
    held.faults = [Fault(fault.how, fault.status, times=9)]
    with pytest.raises(kind, match=words) as told:
        WORK[work](open_registry(held.url))
    assert told.value.exit_code == code
    assert TOKEN not in str(told.value) + str(told.value.facts)
    assert len(held.asked) == 1
    assert held.models == []


def test_nobody_at_the_address_is_unavailable(held: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """69 after some tries, with the address; an empty list would be a lie."""
    with pytest.raises(ServiceUnavailable, match=r"127\.0\.0\.1:9.*does not answer") as down:
        open_registry("http://127.0.0.1:9").list(NAME)
    assert down.value.exit_code == 69
    monkeypatch.setenv(connection.TOKEN_FILE, "")
    with pytest.raises(StepError, match="no token was sent") as denied:
        open_registry(held.url).list(NAME)
    assert denied.value.exit_code == 65
    with pytest.raises(ServiceUnavailable, match="none of a Model Registry"):
        open_registry(f"{held.url}/elsewhere").list(NAME)


def test_an_answer_that_is_no_answer_is_told(held: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON of another form, with 200, is an error and no empty list."""
    monkeypatch.setattr(held, "findRegisteredModel", lambda *_: (200, {"error": "no such project"}), raising=False)
    with pytest.raises(ServiceUnavailable, match="none of a Model Registry"):
        open_registry(held.url).list(NAME)
