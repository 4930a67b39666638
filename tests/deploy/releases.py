"""Small real models with verdict and registration, as deploy takes them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepkit import verdict

from tests.serving.conftest import make_model

NAME = "stopping-distance"


@dataclass(frozen=True)
class Made:
    """The files of one version."""

    version: str
    model: Path
    verdict: Path
    registered: Path
    uri: str
    sha256: str

    def words(self) -> list[object]:
        """As options of `brakeline-deploy apply` and `plan`."""
        return ["--model", self.model, "--passed-verdict", self.verdict, "--registered", self.registered]


def release(folder: Path, version: str, scale: float = 2.0, passed: bool = True, **about: Any) -> Made:
    """A model whose way is `scale` times the speed, judged, and registered under a version."""
    at = folder / f"release-{version}"
    make_model(at / "model" / "model.onnx", scale)
    golden = {
        "inputs": {"speed_mps": [10.0, None], "grade": [None, 0.5]},
        "outputs": {"way_m": [10.0 * scale, None], "unfit": [0.0, 1.0]},
    }
    (at / "model" / "golden.json").write_text(json.dumps(golden))
    sha256, uri = verdict.model_sha256(at / "model"), f"s3://models/{version}/"
    gate = {"name": "any", "passed": passed, "value": 0.0, "limit": 1.0}
    judged = {"schema_version": 2, "passed": passed, "gates": [gate], "model_sha256": sha256, "contract_version": 1}
    (at / "verdict").write_text(json.dumps(verdict.sealed(judged)))
    known = {"name": NAME, "version": version, "uri": uri, "sha256": sha256, **about}
    (at / "registered").write_text(json.dumps(known))
    return Made(version, at / "model", at / "verdict", at / "registered", known["uri"], sha256)
