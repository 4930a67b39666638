"""The model behind FastAPI, as one writes it in an afternoon: `uvicorn serve:app` with MODEL_NAME and MODEL_FILE."""

import os
from typing import Any

import numpy as np
import onnxruntime as ort
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel


class Tensor(BaseModel):
    """An input as the Open Inference Protocol writes it."""

    name: str
    shape: list[int]
    datatype: str
    data: list[float]


class Asked(BaseModel):
    """A request."""

    inputs: list[Tensor]
    id: str | None = None


NAME = os.environ["MODEL_NAME"]
options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = ort.InferenceSession(os.environ["MODEL_FILE"], options, providers=["CPUExecutionProvider"])
names = [output.name for output in session.get_outputs()]
app = FastAPI()


@app.get(f"/v2/models/{NAME}/ready")
async def ready() -> dict[str, bool]:
    """Say that the model is served."""
    return {"ready": True}


@app.post(f"/v2/models/{NAME}/infer")
async def infer(asked: Asked) -> JSONResponse:
    """Answer a request."""
    feed = {each.name: np.array(each.data, np.float32).reshape(each.shape) for each in asked.inputs}
    outputs: list[dict[str, Any]] = [
        {"name": name, "shape": list(values.shape), "datatype": "FP32", "data": values.ravel().tolist()}
        for name, values in zip(names, session.run(names, feed), strict=True)
    ]
    return JSONResponse({"model_name": NAME, "id": asked.id, "outputs": outputs})
