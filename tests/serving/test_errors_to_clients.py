from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass, field
from typing import Any

import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from tests.serving.conftest import NAME, Server, column, tensor

INFER = f"/v2/models/{NAME}/infer"
SPEED = tensor("speed_mps", 10.0)
DEEP = b'{"inputs":' + b"[" * 100_000


@dataclass(frozen=True)
class Case:
    """A request that must be refused: its status, and words of the message."""

    name: str
    body: object
    says: tuple[str, ...]
    status: int = 400
    path: str = INFER
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=dict)


def _infer(name: str, inputs: list[Any], *says: str, **more: object) -> Case:
    return Case(name, {"inputs": inputs} | more, says)


def _binary(name: str, length: str, *says: str, size: int = 4, raw: bytes = b"1234") -> Case:
    made = {"name": "speed_mps", "shape": [1], "datatype": "FP32", "parameters": {"binary_data_size": size}}
    head = json.dumps({"inputs": [made]}).encode()
    headers = {"Inference-Header-Content-Length": length.replace("right", str(len(head)))} if length else {}
    return Case(name, head + raw, says, headers=headers)


CASES = [
    Case("no_json", b"stop!", ("malformed",)),
    Case("no_body", b"", ("inference request",)),
    Case("a_json_list", b"[]", ("object", "array")),
    Case("no_inputs_field", {}, ("inputs",)),
    Case(
        "json_with_nan",
        b'{"inputs":[{"name":"speed_mps","shape":[1],"datatype":"FP32","data":[NaN]}]}',
        ("JSON",),
    ),
    Case("bytes_that_are_no_utf8", b'{"inputs":[],"id":"\xff"}', ("utf-8",)),
    Case("nested_too_deeply", DEEP, ("inference request",)),
    Case("nested_too_deeply_where_ignored", DEEP.replace(b"inputs", b"x"), ("inference request",)),
    _infer("no_inputs", [], "speed_mps", "contract requires"),
    _infer("required_left_out", [tensor("grade", 0.1)], "missing speed_mps", "contract requires"),
    _infer("unknown_input", [SPEED, tensor("velocity", 1.0)], "velocity", "speed_mps, grade"),
    _infer("input_twice", [SPEED, SPEED], "speed_mps twice"),
    _infer("unknown_output", [SPEED], "nothing", "way_m, unfit", outputs=[{"name": "nothing"}]),
    _infer("output_twice", [SPEED], "twice", outputs=[{"name": "way_m"}] * 2),
    _infer("doubles", [SPEED | {"datatype": "FP64"}], "speed_mps: datatype", "FP64", "FP32"),
    _infer("integers", [SPEED | {"datatype": "INT64"}], "INT64", "FP32"),
    _infer("two_columns", [SPEED | {"shape": [1, 2], "data": [1, 2]}], "speed_mps: shape", "[1, 2]", "[N, 1]"),
    _infer("a_scalar", [SPEED | {"shape": []}], "speed_mps: shape", "[N, 1]"),
    _infer("no_rows", [SPEED | {"shape": [0, 1], "data": []}], "speed_mps: shape", "1 to 10000 rows"),
    _infer("negative_rows", [SPEED | {"shape": [-1, 1]}], "speed_mps: shape", "1 to 10000 rows"),
    _infer("too_many_rows", [SPEED | {"shape": [10_001, 1], "data": [0] * 10_001}], "1 to 10000 rows"),
    _infer(
        "rows_differ",
        [SPEED, tensor("grade", 0.1, 0.2)],
        "grade: shape",
        "2 rows",
        "1 rows as in the inputs before",
    ),
    _infer("too_few_values", [SPEED | {"shape": [2, 1]}], "speed_mps: data", "1 rows", "2 as in its shape"),
    _infer("no_values", [SPEED | {"data": None}], "speed_mps: data", "none"),
    _infer("text_for_a_number", [SPEED | {"data": ["10"]}], "float", "str", "inputs[0].data[0]"),
    _infer("truth_for_a_number", [SPEED | {"data": [True]}], "float", "bool"),
    _infer("too_nested", [SPEED | {"data": [[[1.0]]]}], "float", "array"),
    _infer("wide_rows", [SPEED | {"data": [[1.0, 2.0]]}], "a row of 2 values"),
    _infer("mixed_rows", [SPEED | {"shape": [2], "data": [[1.0], 2.0]}], "mixed"),
    _infer("mixed_rows_the_other_way", [SPEED | {"shape": [2], "data": [1.0, [2.0]]}], "mixed"),
    _infer("shared_memory", [SPEED | {"parameters": {"shared_memory_region": "x"}}], "shared_memory_region"),
    _infer("classification", [SPEED], "way_m", outputs=[{"name": "way_m", "parameters": {"classification": 1}}]),
    _binary("binary_without_its_header", "", "malformed", raw=b"\x00\x00\x00\x00"),
    _binary("binary_without_its_bytes", "right", "binary_data_size", "0 bytes after the JSON", raw=b""),
    _binary("binary_with_more_bytes", "right", "5 bytes after the JSON", raw=b"12345"),
    _binary("binary_of_another_size", "right", "binary_data_size", "found 8, allowed 4", size=8, raw=b"12345678"),
    _binary("binary_of_negative_size", "right", "found -4", size=-4),
    _binary("binary_header_beyond_the_body", "100000", "Inference-Header-Content-Length"),
    _binary("binary_header_that_is_no_length", "-1", "Inference-Header-Content-Length", "-1"),
    _binary("binary_header_too_long", "9" * 5000, "Inference-Header-Content-Length"),
    Case("no_gzip", b"x", ("gzip body",), headers={"Content-Encoding": "gzip"}),
    Case("cut_gzip", gzip.compress(b"{}")[:-4], ("gzip body", "cut off"), headers={"Content-Encoding": "gzip"}),
    Case("raw_deflate", zlib.compress(b"{}")[2:], ("deflate body",), headers={"Content-Encoding": "deflate"}),
    Case("brotli", b"x", ("Content-Encoding", "br", "gzip"), 415, headers={"Content-Encoding": "br"}),
    Case("a_bomb", gzip.compress(b" " * 50_000_000), ("body",), 413, headers={"Content-Encoding": "gzip"}),
    Case("unknown_model", {"inputs": [SPEED]}, ("other", NAME), 404, "/v2/models/other/infer"),
    Case("unknown_version", {"inputs": [SPEED]}, ("9", "3, 4"), 404, f"/v2/models/{NAME}/versions/9/infer"),
    Case("unknown_path", None, ("/v3",), 404, "/v3", "GET"),
    Case("unknown_verb", None, ("nothing is served",), 404, f"/v2/models/{NAME}/guess", "GET"),
    Case("unknown_model_metadata", None, ("other",), 404, "/v2/models/other", "GET"),
    Case("no_path_escapes", None, ("nothing is served",), 404, "/v2/../../etc/passwd", "GET"),
    Case("infer_by_get", None, ("GET", "POST"), 405, INFER, "GET"),
    Case("health_by_delete", None, ("DELETE", "GET"), 405, "/v2/health/live", "DELETE"),
    Case("another_expectation", {}, ("Expect", "100-continue"), 417, headers={"Expect": "200-maybe"}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_refusal_names_the_field_what_was_found_and_what_is_allowed(live: Server, case: Case) -> None:
    """Every wrong request gets its own status and a JSON error that says what to change."""
    reply = live.ask(case.method, case.path, case.body, case.headers)
    assert reply.status == case.status, reply.body
    assert reply.headers["content-type"] == "application/json"
    for word in case.says:
        assert word in reply.json["error"]
    assert "Traceback" not in reply.json["error"]


def test_a_405_lists_the_methods(live: Server) -> None:
    """A wrong method's answer carries Allow."""
    assert live.ask("GET", INFER).headers["allow"] == "POST"
    assert live.ask("POST", "/v2", {}).headers["allow"] == "GET, HEAD"


def test_tritonclient_reads_the_errors(live: Server) -> None:
    """The conformance client raises the server's own words with the status."""
    client = triton.InferenceServerClient(live.address)
    given = triton.InferInput("velocity", [1, 1], "FP32").set_data_from_numpy(column(1.0))
    for model, status in ((NAME, "400"), ("other", "404")):
        with pytest.raises(InferenceServerException) as raised:
            client.infer(model, [given])
        assert raised.value.status() == status
    client.close()
