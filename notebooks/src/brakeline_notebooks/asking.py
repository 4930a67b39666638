"""Asking a model: the graph itself, or a server by the Open Inference Protocol, with rows by feature name."""

import os
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import polars as pl
from numpy.typing import NDArray

MEDIAN, UPPER, FLAG, NOVELTY = "stopping_distance_m", "stopping_distance_upper_m", "out_of_range", "ood_score"
SERVER, TOKEN_FILE, CA = "BRAKELINE_SERVER", "BRAKELINE_SERVER_TOKEN_FILE", "BRAKELINE_SERVER_CA"
# What a server takes in one request.
_MOST_ROWS = 10_000

Column = NDArray[np.float32]


class Graph:
    """A model.onnx, asked in this process."""

    def __init__(self, model: Path) -> None:
        """Load `model`, the artifact's folder. Raises onnxruntime's errors."""
        import onnxruntime  # noqa: PLC0415  loads a hundred megabytes

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(model / "model.onnx"), options)
        self.features = tuple(str(tensor.name) for tensor in self._session.get_inputs())
        self.outputs = tuple(str(tensor.name) for tensor in self._session.get_outputs())

    def ask(self, rows: Mapping[str, Any] | pl.DataFrame) -> pl.DataFrame:
        """The outputs for N rows, a column each; a feature that is not given is a missing reading."""
        columns = _columns(rows, self.features)
        answers = self._session.run(None, {name: column.reshape(-1, 1) for name, column in columns.items()})
        return pl.DataFrame({name: answer.ravel() for name, answer in zip(self.outputs, answers, strict=True)})


class NoAnswer(Exception):
    """No server answers at the address, or not as one of ours; the message says where, why, and what to look at."""


class Server:
    """A served model, asked by `tritonclient`. A token is read from its file each time, and goes over TLS only."""

    def __init__(self, url: str, model: str = "stopping-distance", token_file: str = "", ca: str = "") -> None:
        """Ask the server for its contract. Raises NoAnswer, ValueError."""
        from tritonclient import http, utils  # noqa: PLC0415

        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ValueError(f"{SERVER}: found {url!r}, allowed an address as https://brakes.example:8443")
        if token_file and parts.scheme != "https":
            raise ValueError(f"{url}: a token goes over https alone")
        encrypted: dict[str, Any] = {}
        if parts.scheme == "https":
            encrypted = {"ssl": True, "ssl_context_factory": lambda: ssl.create_default_context(cafile=ca or None)}
        self._http = http
        self.client = http.InferenceServerClient(f"{parts.netloc}{parts.path.rstrip('/')}", **encrypted)
        self.url, self.model, self._token_file = url, model, token_file
        try:
            self.metadata = self.client.get_model_metadata(model, headers=self._headers() or None)
            self.contract = self.metadata["parameters"]["contract"]
        except (OSError, KeyError, utils.InferenceServerException) as error:
            wanted = f"a server of {model} that is ready, a token it takes and authorities that sign for it"
            told = f"{url}: {type(error).__name__}: {error}"
            raise NoAnswer(f"{told}; needed is {wanted} ({SERVER}, {TOKEN_FILE}, {CA})") from error
        self.features = tuple(str(feature["name"]) for feature in self.contract["features"])

    @staticmethod
    def of_environment(url: str = "") -> "Server":
        """The server at a URL, or the one that the environment names, with its token and its authorities."""
        if url:
            return Server(url)
        return Server(os.environ[SERVER], token_file=os.environ.get(TOKEN_FILE, ""), ca=os.environ.get(CA, ""))

    def ask(self, rows: Mapping[str, Any] | pl.DataFrame, *, binary: bool = True, request_id: str = "") -> pl.DataFrame:
        """The outputs for N rows, in as many requests as it takes; in JSON where not `binary`.

        JSON has no word for what is not a number: a reading that all rows lack is left out there, and one that some of
        them lack is a ValueError. Raises tritonclient's InferenceServerException.
        """
        columns = _columns(rows, self.features)
        if not binary:
            columns = {name: column for name, column in columns.items() if not np.isnan(column).all()}
            if some := [name for name, column in columns.items() if np.isnan(column).any()]:
                raise ValueError(f"{', '.join(some)}: missing in some rows, which tritonclient cannot say in JSON")
        parts = [self._ask(part, binary, request_id) for part in _parts(columns)]
        return pl.concat(parts)

    def _ask(self, columns: dict[str, Column], binary: bool, request_id: str) -> pl.DataFrame:
        inputs = []
        for name, column in columns.items():
            tensor = self._http.InferInput(name, [column.size, 1], "FP32")
            tensor.set_data_from_numpy(column.reshape(-1, 1), binary_data=binary)
            inputs.append(tensor)
        wanted = [
            self._http.InferRequestedOutput(each["name"], binary_data=binary) for each in self.metadata["outputs"]
        ]
        answer = self.client.infer(
            self.model, inputs, outputs=wanted, request_id=request_id, headers=self._headers() or None
        )
        return pl.DataFrame({each["name"]: answer.as_numpy(each["name"]).ravel() for each in self.metadata["outputs"]})

    def _headers(self) -> dict[str, str]:
        if not self._token_file:
            return {}
        return {"Authorization": f"Bearer {Path(self._token_file).read_text(encoding='utf-8').strip()}"}


def _columns(rows: Mapping[str, Any] | pl.DataFrame, features: tuple[str, ...]) -> dict[str, Column]:
    """Float32 columns of one length for all features; scalars are repeated, what is not given is missing."""
    given = {name: np.asarray(rows[name], dtype=np.float32) for name in features if name in _names(rows)}
    (length,) = np.broadcast_shapes((1,), *(column.shape for column in given.values()))
    none = np.float32(np.nan)
    return {name: np.ascontiguousarray(np.broadcast_to(given.get(name, none), (length,))) for name in features}


def _names(rows: Mapping[str, Any] | pl.DataFrame) -> set[str]:
    return set(rows.columns if isinstance(rows, pl.DataFrame) else rows)


def _parts(columns: dict[str, Column]) -> Iterator[dict[str, Column]]:
    length = next(iter(columns.values())).size
    for start in range(0, length, _MOST_ROWS):
        yield {name: column[start : start + _MOST_ROWS] for name, column in columns.items()}
