from __future__ import annotations

from typing import Any

import pytest
from brakeline_serving.grpc_messages import _TABLE, message
from tritonclient.grpc import model_config_pb2, service_pb2

# Messages that the protocol nests in others; ours stand beside them, which makes no difference on the wire.
_NESTED = {
    "TensorMetadata": service_pb2.ModelMetadataResponse.TensorMetadata,
    "InferInputTensor": service_pb2.ModelInferRequest.InferInputTensor,
    "InferOutputTensor": service_pb2.ModelInferResponse.InferOutputTensor,
    "InferRequestedOutputTensor": service_pb2.ModelInferRequest.InferRequestedOutputTensor,
    "ModelIndex": service_pb2.RepositoryIndexResponse.ModelIndex,
    "Contents": service_pb2.InferTensorContents,
}
# An enumeration travels as the number that we write.
_SAME_ON_THE_WIRE = {14: 5}


def _theirs(name: str) -> Any:
    found = _NESTED.get(name) or getattr(service_pb2, name, None) or getattr(model_config_pb2, name)
    return found.DESCRIPTOR


@pytest.mark.parametrize("name", _TABLE)
def test_a_message_is_the_protocols(name: str) -> None:
    """Every field has the number, the type and the plurality that the conformance client's has."""
    fields = message(name).DESCRIPTOR.fields
    theirs = _theirs(name).fields_by_name
    assert len(fields) == len(_TABLE[name].split())
    for field in fields:
        other = theirs[field.name]
        assert field.number == other.number
        assert field.type == _SAME_ON_THE_WIRE.get(other.type, other.type)
        assert field.is_repeated == other.is_repeated
        assert (field.containing_oneof is None) == (other.containing_oneof is None)
