"""The same requests over gRPC: raw or as typed contents, one by one or as a stream."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

import grpc.aio
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.serving.conftest import NAME
from tests.serving.questions import Asked, Question, draw

MARKS = {
    *("gRPC, raw", "gRPC, contents", "gRPC, stream"),
    *(f"gRPC, {mark}" for mark in ("id", "parameters", "version asked for", "primary")),
    *(f"gRPC, {mark}" for mark in ("some outputs", "bulk", "one row")),
}


@dataclass(frozen=True)
class Call:
    """A request as a message."""

    asked: Asked
    message: Any

    def check(self, reply: Any) -> tuple[str, frozenset[str]]:
        """The version that a reply names, and the call's marks. Raises Wrong."""
        told = {key: getattr(value, value.WhichOneof("parameter_choice")) for key, value in reply.parameters.items()}
        names = [output.name for output in reply.outputs]
        self.asked.check_envelope(reply.model_version, reply.id, told, names)
        for output, raw in zip(reply.outputs, reply.raw_output_contents, strict=True):
            self.asked.check_raw(reply.model_version, output.name, output.shape, raw)
        return reply.model_version, self.asked.marks


def write(chance: random.Random, question: Question, key: str, streamed: bool) -> Call:
    """A question as a message of chance."""
    asked = draw(chance, question, key)
    raw = chance.random() < 0.6
    message = service_pb2.ModelInferRequest(model_name=NAME, model_version=asked.version, id=asked.id)
    for name, value in asked.parameters.items():
        if isinstance(value, str):
            message.parameters[name].string_param = value
        else:
            message.parameters[name].int64_param = value
    for name, values in question.columns.items():
        tensor = message.inputs.add(name=name, datatype="FP32", shape=(len(values), 1))
        if raw:
            message.raw_input_contents.append(values.tobytes())
        else:
            tensor.contents.fp32_contents.extend(values.tolist())
    for name in asked.outputs:
        message.outputs.add(name=name)
    marks = {f"gRPC, {mark}" for mark in asked.marks} | {"gRPC, raw" if raw else "gRPC, contents"}
    marks |= {"gRPC, stream"} if streamed else set()
    return Call(replace(asked, marks=frozenset(marks)), message)


def connect(address: str) -> tuple[Any, Any]:
    """A channel with a connection of its own, which the library would share otherwise, and its methods."""
    channel = grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
    return channel, service_pb2_grpc.GRPCInferenceServiceStub(channel)
