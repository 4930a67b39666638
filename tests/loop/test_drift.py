"""A run where the traffic drifted for long enough, and none else: a real server, its metrics, a clock of the test's."""

from __future__ import annotations

import math
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from brakeline import drift
from brakeline.drift import Counts
from brakeline.server_metrics import Address, CannotLook, NotAllowed, UnusableServer, look, read

from tests.conftest import Chain
from tests.loop import traffic
from tests.loop.conftest import store_of
from tests.loop.shift import RULE, Scene
from tests.serving.conftest import Server, Store

Start = Callable[..., Server]


@pytest.fixture
def store(tiny: Chain, tmp_path: Path) -> Store:
    """The tiny model as versions 1 and 2."""
    return store_of(tiny, tmp_path / "models", "1", "2")


@pytest.fixture
def scene(start: Start, store: Store, tmp_path: Path) -> Scene:
    """A watched server that serves version 1."""
    server = start("--model-store", str(store.root))
    server.wait_for_version("1")
    return Scene(server, tmp_path / "state")


def test_an_index_of_a_window_is_of_its_rows_alone(scene: Scene, world: traffic.World) -> None:
    """Counts between two looks give the index by hand; since the server's start it is the server's own index."""
    address, friction = Address(scene.server.url), world.named("friction")
    first = look(address)
    traffic.ask(scene.server, world, range(2000))
    good = look(address)
    traffic.ask(scene.server, world.slick(), range(1000))
    last = look(address)
    window = last.counts - good.counts
    assert (window.rows, sum(window.features[friction])) == (1000, 1000)
    page = scene.server.ask("GET", "/metrics").body.decode().splitlines()
    ours = [line for line in page if line.startswith("brakeline_feature_bucket") and f'"{friction}"' in line]
    edges = {float(line.partition('le="')[2].partition('"')[0]) for line in ours} - {np.inf}
    values = world.slick().rows[friction].to_numpy()[:1000]
    by_hand = np.bincount(np.searchsorted(sorted(edges), values[~np.isnan(values)]), minlength=len(edges) + 1)
    assert window.features[friction] == (*by_hand.tolist(), np.isnan(values).sum())
    assert sum(last.training[friction]) == pytest.approx(1.0)
    told = scene.server.metric(f'brakeline_feature_psi{{feature="{friction}",version="1"}}')
    since_start = last.counts - first.counts
    assert drift.stability(last.training[friction], since_start.features[friction]) == pytest.approx(told, abs=1e-9)
    assert drift.stability(last.training[friction], window.features[friction]) > 2 * told


def test_traffic_like_the_training_data_is_no_drift(scene: Scene, world: traffic.World) -> None:
    """Ten minutes of the world that the model knows: nothing holds, nothing is submitted."""
    assert set(scene.looks(world, 20)) == {"nothing"}
    assert scene.submitter.keys == []
    assert [line["event"] for line in scene.events] == ["model", "baseline"]


def test_drift_after_a_long_good_time_is_seen_and_fires_once(scene: Scene, world: traffic.World) -> None:
    """Slick roads after 40,000 good rows: one run after three minutes, for the reason that holds, and no second one."""
    friction = world.named("friction")
    scene.look(None)
    for _ in range(20):
        traffic.ask(scene.server, world, range(2000))
    assert scene.look(None).status == "nothing"
    came = scene.looks(world.slick(), 12)
    fired = came.index("submitted")
    assert 6 <= fired <= 9, came  # three minutes are six looks, and a window of two has to fill
    assert set(came[fired + 1 :]) == {"cooldown"}
    assert set(came[:fired]) <= {"nothing", "pending"}
    assert scene.server.metric(f'brakeline_feature_psi{{feature="{friction}",version="1"}}') < RULE.psi  # type: ignore[operator]
    (key,), (reason,) = scene.submitter.keys, scene.submitter.reasons
    assert reason.startswith(f"{friction}: stability index")
    assert "limit 0.25, for 3m" in reason
    (decided,), (submitted,) = scene.said("decided"), scene.said("submitted")
    assert (decided["key"], decided["reason"], submitted["run"]) == (key, reason, "run-1")
    trigger = scene.memory["trigger"]
    assert (trigger["status"], trigger["run"], trigger["reason"]) == ("submitted", "run-1", reason)
    assert len(scene.said("cooldown")) == 1
    scene.look(world.slick(), after_s=scene.rule.cooldown_s)
    assert len(scene.submitter.keys) == 2, "it still drifts when the cooldown is over"


def test_a_short_burst_is_no_reason(scene: Scene, world: traffic.World) -> None:
    """A minute and a half of slick roads, then the usual ones: it held, it holds no longer, no run."""
    scene.looks(world, 3)
    assert "pending" in scene.looks(world.slick(), 3)
    assert "submitted" not in scene.looks(world, 12)
    assert scene.submitter.keys == []
    assert scene.said("holds")[0]["condition"] == f"psi {world.named('friction')}"
    assert scene.said("holds_no_longer")


def test_few_rows_say_nothing(scene: Scene, world: traffic.World) -> None:
    """Slick roads, but fewer rows in a window than the rule needs: told, and nothing holds."""
    looked = [scene.look(world.slick(), rows=50) for _ in range(10)]
    assert {one.status for one in looked} == {"nothing"}
    assert all(finding.value is None for finding in looked[-1].findings)
    assert looked[-1].findings[0].words.endswith("rows in the window, needed 400")


def test_rows_out_of_range_and_a_wider_bound_are_reasons(start: Start, tiny: Chain, tmp_path: Path) -> None:
    """5 % of readings that cannot be; and metres by which the mean bound gained on that of the new model."""
    world, model = traffic.world(tiny), str(traffic.model_of(tiny))
    speed = world.named("speed")
    broken = (pl.int_range(pl.len()) % 20 == 0) & pl.lit(value=True)
    unfit = world.with_rows(
        world.rows.with_columns(pl.when(broken).then(500.0).otherwise(pl.col(speed)).cast(pl.Float32).alias(speed))
    )
    faster = world.with_rows(world.rows.with_columns((pl.col(speed) * 1.3).clip(0.0, 69.0).cast(pl.Float32)))
    for name, rule, shifted, unit in (
        ("out", replace(RULE, psi=None, out_of_range=0.02), unfit, "%"),
        ("wide", replace(RULE, psi=None, widening_m=5.0), faster, "m wider than"),
    ):
        scene = Scene(start("--model", model), tmp_path / name, rule)
        assert set(scene.looks(world, 6)) == {"nothing"}
        assert "submitted" in scene.looks(shifted, 12)
        (reason,) = scene.submitter.reasons
        assert unit in reason
    (baseline,) = scene.said("baseline")
    assert scene.memory["baseline"]["spread_m"] == pytest.approx(baseline["spread_m"], abs=1e-3)


def test_a_restarted_server_counts_from_0_and_the_drift_goes_on(
    scene: Scene, start: Start, store: Store, world: traffic.World
) -> None:
    """Counters that fall are a restart: no count is below 0, what held goes on, and one run is submitted."""
    scene.looks(world, 4)
    came = scene.looks(world.slick(), 4)
    port = scene.server.port
    scene.server.stop()
    assert scene.look(None).status == "down"
    scene.server = start("--model-store", str(store.root), "--port", str(port))
    scene.server.wait_for_version("1")
    came += scene.looks(world.slick(), 10)
    assert came.count("submitted") == 1
    assert len(scene.said("server_restarted")) == 1
    bins = [count for part in scene.memory["window"] for row in part["counts"]["features"].values() for count in row]
    assert min(bins) >= 0


def test_another_model_is_watched_anew(scene: Scene, store: Store, world: traffic.World) -> None:
    """What held of version 1 says nothing of version 2: window, time and baseline start again."""
    scene.rule = replace(RULE, widening_m=50.0)
    scene.start_watch()
    scene.looks(world, 2)
    scene.looks(world.slick(), 5)
    assert scene.memory["held_s"]
    store.point("2")
    scene.server.wait_for_version("2")
    assert scene.look(None).status == "nothing"
    memory = scene.memory
    assert (memory["version"], memory["held_s"], memory["window"], memory["baseline"]) == ("2", {}, [], None)
    assert "submitted" not in scene.looks(world.slick(), 5)
    assert [line["version"] for line in scene.said("model")] == ["1", "2"]
    assert scene.said("baseline")[-1]["version"] == "2"
    assert "submitted" in scene.looks(world.slick(), 4)


def test_a_server_that_is_down_is_told_and_no_reason(
    scene: Scene, start: Start, store: Store, world: traffic.World
) -> None:
    """Looks are further and further apart, and the time that nobody could see does not count."""
    scene.looks(world, 2)
    scene.looks(world.slick(), 3)
    held_s = scene.memory["held_s"]
    port = scene.server.port
    scene.server.stop()
    pauses = []
    for _ in range(8):
        looked = scene.look(None, after_s=600.0)
        assert (looked.status, looked.exit_code) == ("down", 69)
        pauses.append(scene.watch.pause_s(30.0))
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (60.0, 600.0)
    assert len(scene.said("cannot_look")) == 1
    scene.server = start("--model-store", str(store.root), "--port", str(port))
    scene.server.wait_for_version("1")
    assert scene.look(world.slick()).status == "pending"
    assert scene.watch.pause_s(30.0) == 30.0
    assert max(scene.memory["held_s"].values()) <= max(held_s.values()) + 2 * 30.0
    assert scene.submitter.keys == []


def test_time_in_which_the_watch_stood_still_does_not_count(scene: Scene, world: traffic.World) -> None:
    """A condition that holds before a stop and after it held no longer for the time of the stop; soon after, it has.

    A clock's looks may be as far apart as it makes them.
    """
    scene.longest_gap_s = 120.0
    scene.start_watch()
    scene.looks(world, 2)
    scene.looks(world.slick(), 3)
    held_s = max(scene.memory["held_s"].values())
    scene.start_watch()
    assert scene.look(world.slick(), after_s=7200.0).status == "pending"
    assert max(scene.memory["held_s"].values()) == held_s
    assert [line["seconds"] for line in scene.said("stood_still")] == [7200.0]
    assert scene.look(world.slick(), after_s=100.0).status == "pending"
    assert max(scene.memory["held_s"].values()) == held_s + 100.0
    scene.longest_gap_s = math.inf
    scene.start_watch()
    assert scene.look(world.slick(), after_s=7200.0).status == "submitted"


def test_what_is_no_server_of_ours_is_refused_in_words() -> None:
    """No format of Prometheus', another's metrics, no model yet."""
    with pytest.raises(NotAllowed, match="Prometheus"):
        read("<html>", "http://here")
    with pytest.raises(NotAllowed, match="brakeline_rows_total"):
        read("# TYPE up gauge\nup 1\n", "http://here")
    with pytest.raises(CannotLook, match="no model is served"):
        read("brakeline_rows_total 0\n", "http://here")


@pytest.mark.parametrize("token", ["hunter2\nhunter3", "hunter2\u00e4", " \n"])
def test_what_is_no_token_is_not_quoted(token: str, tmp_path: Path) -> None:
    """Two lines, letters that no header has, nothing: refused before anything is sent, without the token."""
    (tmp_path / "token").write_text(token, encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(UnusableServer, match="holds no") as told:
        look(Address(f"http://127.0.0.1:{server.getsockname()[1]}", tmp_path / "token"))
    assert "hunter2" not in str(told.value)


def test_counts_come_back_from_json() -> None:
    """What is written is what is read, and a lost bin is a restart."""
    counts = Counts(3.0, 1.0, 2.0, 8.5, {"a": (1.0, 2.0), "b": (0.0, 3.0)})
    assert Counts.from_json(counts.to_json()) == counts
    assert (counts + counts) - counts == counts
    assert counts.is_behind(replace(counts, features={"a": (2.0, 1.0), "b": (0.0, 3.0)}))
    assert not counts.is_behind(Counts())
