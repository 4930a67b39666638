"""Brakeline's inference server: one ONNX model behind the Open Inference Protocol v2 over HTTP."""

__version__ = "0.1.0"
