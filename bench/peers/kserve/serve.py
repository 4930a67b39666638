"""The model as KServe's documentation has one write a custom predictor: `python serve.py NAME FILE PORT`."""

import logging
import sys

import onnxruntime as ort
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer


class OnnxModel(Model):
    """One session of one thread, like everybody's here."""

    def __init__(self, name: str, file: str) -> None:
        super().__init__(name)
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        self._names = [output.name for output in self._session.get_outputs()]
        self.ready = True

    async def predict(self, payload: InferRequest, headers: object = None, response_headers: object = None) -> object:
        """Answer a request."""
        told = self._session.run(self._names, {tensor.name: tensor.as_numpy() for tensor in payload.inputs})
        outputs = []
        for name, values in zip(self._names, told, strict=True):
            output = InferOutput(name=name, shape=list(values.shape), datatype="FP32")
            output.set_data_from_numpy(values, binary_data=False)
            outputs.append(output)
        return InferResponse(response_id=payload.id or "", model_name=self.name, infer_outputs=outputs)


if __name__ == "__main__":
    name, file, port = sys.argv[1:]
    server = ModelServer(http_port=int(port), enable_grpc=False, workers=1, enable_latency_logging=False)
    log = logging.getLogger("uvicorn.access")
    log.handlers, log.propagate = [], False  # nobody's server logs a line per request here
    server.start([OnnxModel(name, file)])
