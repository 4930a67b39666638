from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from brakeline_serving import model
from brakeline_serving.errors import ModelRefused

from tests.serving.conftest import CONTRACT, OUTPUTS, Sabotage, column, make_model

_ONE_FEATURE = json.dumps(CONTRACT | {"features": CONTRACT["features"][:1]})
_GOLDEN = {"inputs": {"speed_mps": [10.0], "grade": [0.0]}, "outputs": {"way_m": [20.0], "unfit": [0.0]}}


def _golden(**change: object) -> dict[str, str]:
    return {"brakeline.golden": json.dumps(_GOLDEN | change)}


@pytest.mark.parametrize(
    ("sabotage", "said"),
    [
        (Sabotage(without=("brakeline.contract",)), "brakeline.contract: found none"),
        (Sabotage(without=("brakeline.golden",)), "brakeline.golden: found none"),
        (Sabotage(without=("brakeline.outputs",)), "brakeline.outputs: found none"),
        (Sabotage(replaced={"brakeline.contract": "{"}), "brakeline.contract: "),
        (Sabotage(replaced={"brakeline.contract": _ONE_FEATURE}), "inputs: found speed_mps, grade"),
        (Sabotage(replaced={"brakeline.outputs": json.dumps({"way_m": OUTPUTS["way_m"]})}), "outputs: found"),
        (Sabotage(replaced=_golden(outputs={"way_m": [20.1], "unfit": [0.0]})), "way_m: found"),
        (Sabotage(replaced=_golden(outputs={"way_m": [None], "unfit": [0.0]})), "way_m: found"),
        (Sabotage(replaced=_golden(outputs={"way_m": [20.0]})), "found outputs way_m, allowed exactly"),
        (Sabotage(replaced=_golden(inputs={"speed_mps": [10.0]})), "found inputs speed_mps, allowed exactly"),
        (Sabotage(replaced=_golden(inputs={"speed_mps": [1.0, 2.0], "grade": [0.0]})), "one length above 0"),
    ],
)
def test_a_model_that_cannot_prove_itself_is_refused(tmp_path: Path, sabotage: Sabotage, said: str) -> None:
    """Whatever is wrong with a model's metadata, it is refused and the reason names the part."""
    path = make_model(tmp_path / "model.onnx", sabotage=sabotage)
    with pytest.raises(ModelRefused) as refused:
        model.load(path, "1")
    assert said in str(refused.value)


def test_what_is_no_onnx_is_refused(tmp_path: Path) -> None:
    """A missing file, a folder, noise and a cut file are refused, not raised as something else."""
    path = tmp_path / "model.onnx"
    with pytest.raises(ModelRefused, match="No such file"):
        model.load(path, "1")
    whole = make_model(tmp_path / "whole.onnx").read_bytes()
    for content in (b"", b"noise" * 100, whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(ModelRefused):
            model.load(path, "1")


def test_inputs_of_another_type_are_refused(tmp_path: Path) -> None:
    """Only float32 columns are served; a model of doubles is refused."""
    path = make_model(tmp_path / "model.onnx")
    made = onnx.load(str(path))
    made.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 2
    onnx.save(made, str(path))
    with pytest.raises(ModelRefused, match="speed_mps"):
        model.load(path, "1")


def test_answers_as_computed_by_hand(tmp_path: Path) -> None:
    """2 * 10 + 0.5 = 20.5, and a missing speed raises the flag."""
    served = model.load(make_model(tmp_path / "model.onnx", scale=2.0), "1")
    columns = {"speed_mps": column(10.0, float("nan")), "grade": column(0.5, 0.5)}
    way_m, unfit = served.run(columns, ["way_m", "unfit"])
    assert way_m[0, 0] == 20.5
    assert unfit.ravel().tolist() == [0.0, 1.0]
    assert served.flags == ("unfit",)
