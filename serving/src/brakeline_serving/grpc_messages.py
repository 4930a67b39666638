"""The messages of `inference.GRPCInferenceService`, made from a table instead of generated code.

A field is written `name:type=number`; a star after the type repeats it, `map<T>` maps strings to T, `|name` puts it
into a oneof. Numbers and types are those of the protocol; a test compares them with the conformance client. The pool is
our own, so that other code with the same messages can live in the same process.
"""

import re
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "inference"

_NAMED = "name:string=1 version:string=2"
_LOADED = "repository_name:string=1 model_name:string=2 parameters:map<ModelRepositoryParameter>=3"
_TENSOR = "name:string=1 datatype:string=2 shape:int64*=3 parameters:map<InferParameter>=4 contents:Contents=5"
_TABLE = {
    "ServerLiveRequest": "",
    "ServerLiveResponse": "live:bool=1",
    "ServerReadyRequest": "",
    "ServerReadyResponse": "ready:bool=1",
    "ModelReadyRequest": _NAMED,
    "ModelReadyResponse": "ready:bool=1",
    "ServerMetadataRequest": "",
    "ServerMetadataResponse": "name:string=1 version:string=2 extensions:string*=3",
    "ModelMetadataRequest": _NAMED,
    "ModelMetadataResponse": "name:string=1 versions:string*=2 platform:string=3 inputs:TensorMetadata*=4 "
    "outputs:TensorMetadata*=5",
    "TensorMetadata": "name:string=1 datatype:string=2 shape:int64*=3",
    "InferParameter": "bool_param:bool=1|choice int64_param:int64=2|choice string_param:string=3|choice "
    "double_param:double=4|choice uint64_param:uint64=5|choice",
    "Contents": "bool_contents:bool*=1 int_contents:int32*=2 int64_contents:int64*=3 uint_contents:uint32*=4 "
    "uint64_contents:uint64*=5 fp32_contents:float*=6 fp64_contents:double*=7 bytes_contents:bytes*=8",
    "InferInputTensor": _TENSOR,
    "InferOutputTensor": _TENSOR,
    "InferRequestedOutputTensor": "name:string=1 parameters:map<InferParameter>=2",
    "ModelInferRequest": "model_name:string=1 model_version:string=2 id:string=3 parameters:map<InferParameter>=4 "
    "inputs:InferInputTensor*=5 outputs:InferRequestedOutputTensor*=6 raw_input_contents:bytes*=7",
    "ModelInferResponse": "model_name:string=1 model_version:string=2 id:string=3 parameters:map<InferParameter>=4 "
    "outputs:InferOutputTensor*=5 raw_output_contents:bytes*=6",
    "ModelStreamInferResponse": "error_message:string=1 infer_response:ModelInferResponse=2",
    "ModelConfigRequest": _NAMED,
    "ModelParameter": "string_value:string=1",
    "ModelInput": "name:string=1 data_type:int32=2 dims:int64*=4",
    "ModelOutput": "name:string=1 data_type:int32=2 dims:int64*=3",
    "ModelConfig": "name:string=1 platform:string=2 max_batch_size:int32=4 input:ModelInput*=5 output:ModelOutput*=6 "
    "parameters:map<ModelParameter>=14 backend:string=17",
    "ModelConfigResponse": "config:ModelConfig=1",
    "ModelStatisticsRequest": _NAMED,
    "StatisticDuration": "count:uint64=1 ns:uint64=2",
    "InferStatistics": "success:StatisticDuration=1 fail:StatisticDuration=2 queue:StatisticDuration=3 "
    "compute_input:StatisticDuration=4 compute_infer:StatisticDuration=5 compute_output:StatisticDuration=6 "
    "cache_hit:StatisticDuration=7 cache_miss:StatisticDuration=8",
    "ModelStatistics": "name:string=1 version:string=2 last_inference:uint64=3 inference_count:uint64=4 "
    "execution_count:uint64=5 inference_stats:InferStatistics=6",
    "ModelStatisticsResponse": "model_stats:ModelStatistics*=1",
    "ModelRepositoryParameter": "bool_param:bool=1|choice int64_param:int64=2|choice string_param:string=3|choice "
    "bytes_param:bytes=4|choice",
    "RepositoryIndexRequest": "repository_name:string=1 ready:bool=2",
    "ModelIndex": "name:string=1 version:string=2 state:string=3 reason:string=4",
    "RepositoryIndexResponse": "models:ModelIndex*=1",
    "RepositoryModelLoadRequest": _LOADED,
    "RepositoryModelLoadResponse": "",
    "RepositoryModelUnloadRequest": _LOADED,
    "RepositoryModelUnloadResponse": "",
}

_FIELD = re.compile(r"(\w+):(map<)?(\w+)>?(\*?)=(\d+)(?:\|(\w+))?")
_Proto = descriptor_pb2.FieldDescriptorProto


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="inference.proto", package=PACKAGE, syntax="proto3")
    for name, fields in _TABLE.items():
        message = file.message_type.add(name=name)
        for field in fields.split():
            _add(message, field)
    return file


def _add(message: Any, written: str) -> None:
    found = _FIELD.fullmatch(written)
    assert found is not None, written
    name, is_map, kind, star, number, choice = found.groups()
    repeated = bool(is_map or star)
    label = _Proto.LABEL_REPEATED if repeated else _Proto.LABEL_OPTIONAL
    field = message.field.add(name=name, number=int(number), label=label)
    if is_map:
        # A map is a repeated message of key and value, made within its own message.
        entry = message.nested_type.add(name="".join(part.title() for part in name.split("_")) + "Entry")
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, label=_Proto.LABEL_OPTIONAL, type=_Proto.TYPE_STRING)
        _set_type(entry.field.add(name="value", number=2, label=_Proto.LABEL_OPTIONAL), kind)
        kind = f"{message.name}.{entry.name}"
    _set_type(field, kind)
    if choice:
        if not message.oneof_decl:
            message.oneof_decl.add(name=choice)
        field.oneof_index = 0


def _set_type(field: Any, kind: str) -> None:
    scalar = getattr(_Proto, f"TYPE_{kind.upper()}", None)
    if scalar is not None:
        field.type = scalar
    else:
        field.type = _Proto.TYPE_MESSAGE
        field.type_name = f".{PACKAGE}.{kind}"


_pool = descriptor_pool.DescriptorPool()
_pool.Add(_file())


def message(name: str) -> Any:
    """The class of a message."""
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
