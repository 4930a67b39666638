"""Asking a graph and a server: rows by name, in bytes and in JSON, and a token that goes nowhere in clear text."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from brakeline_notebooks import asking
from brakeline_notebooks.serving import LocalServer, ServerFailed

from tests.conftest import Chain
from tests.loop.conftest import store_of


@pytest.fixture(scope="module")
def served(tiny: Chain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """The tiny model, served."""
    root = tmp_path_factory.mktemp("served")
    store = store_of(tiny, root / "models", "3")
    with LocalServer(store.root, root / "server.log") as server:
        yield server


@pytest.fixture
def rows(tiny: Chain) -> pl.DataFrame:
    """Rows of the holdout, some with readings that are missing."""
    return pl.read_parquet(tiny.holdout / "*.parquet")[:200]


def test_graph_and_server_answer_alike(tiny: Chain, served: LocalServer, rows: pl.DataFrame) -> None:
    """Row by row, each output under its name."""
    graph, server = asking.Graph(tiny.model), asking.Server(served.url)
    assert server.metadata["versions"] == ["3"]
    assert set(graph.features) == set(server.features)
    here, there = graph.ask(rows), server.ask(rows, request_id="a")
    assert here.columns == there.columns
    for name in here.columns:
        # The leaves of a row are summed in an order that threads decide.
        np.testing.assert_allclose(here[name].to_numpy(), there[name].to_numpy(), rtol=1e-5, equal_nan=True)


def test_bytes_and_json_say_the_same(served: LocalServer, rows: pl.DataFrame) -> None:
    """For whole readings; what no row has is left out, and what some lack JSON cannot say."""
    server = asking.Server(served.url)
    whole = [name for name in server.features if not rows[name].is_nan().any()]
    assert server.ask(rows.select(whole)).equals(server.ask(rows.select(whole), binary=False))
    with pytest.raises(ValueError, match="missing in some rows"):
        server.ask(rows, binary=False)


def test_a_number_stands_for_all_rows_and_what_is_not_given_is_missing(tiny: Chain) -> None:
    """So that a sweep is one line of a notebook."""
    graph = asking.Graph(tiny.model)
    swept = {"wheel_speed_mps": np.array([10.0, 20.0]), "vehicle_class": 1}
    alone = graph.ask({"wheel_speed_mps": [20.0], "vehicle_class": [1.0]})
    assert graph.ask(swept)[asking.MEDIAN].to_list()[1] == alone[asking.MEDIAN].to_list()[0]


def test_many_rows_are_many_requests(served: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, whatever the server's limit."""
    server = asking.Server(served.url)
    speeds = {"wheel_speed_mps": np.linspace(5, 40, 50), "vehicle_class": 1}
    at_once = server.ask(speeds)
    monkeypatch.setattr(asking, "_MOST_ROWS", 7)
    assert server.ask(speeds).equals(at_once)


def test_a_token_is_not_sent_in_the_clear(tmp_path: Path) -> None:
    """Not even asked for: the address alone decides."""
    token = tmp_path / "token"
    token.write_text("x")
    with pytest.raises(ValueError, match="https alone"):
        asking.Server("http://127.0.0.1:1", token_file=str(token))


def test_a_server_that_is_down_is_told_with_what_to_look_at(served: LocalServer, tmp_path: Path) -> None:
    """Nobody there, another model, no token to read: address, reason and the variables by which it is set."""
    with pytest.raises(asking.NoAnswer, match=r"http://127\.0\.0\.1:1: .*refused.*needed is .*BRAKELINE_SERVER"):
        asking.Server("http://127.0.0.1:1")
    with pytest.raises(asking.NoAnswer, match=r"InferenceServerException.*needed is a server of another"):
        asking.Server(served.url, model="another")
    with pytest.raises(asking.NoAnswer, match=r"no-token.*BRAKELINE_SERVER_TOKEN_FILE"):
        asking.Server("https://127.0.0.1:1", token_file=str(tmp_path / "no-token"))
    with pytest.raises(ValueError, match=r"BRAKELINE_SERVER: found 'localhost:8080', allowed an address as https://"):
        asking.Server("localhost:8080")


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    """The message has its last words, and nothing of it goes on."""
    with pytest.raises(ServerFailed, match="unrecognized arguments"):
        LocalServer(tmp_path / "models", tmp_path / "log", "--no-such-option")
