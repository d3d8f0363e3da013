"""ONNX to the ``onnx`` dialect: check, take out weights, bind shapes, fold, import."""

from .host_node import host_node_model, host_node_operands
from .import_onnx import import_model, input_names, output_names
from .load import load_model
from .model import LoadedModel, TensorSpec

__all__ = [
    "LoadedModel",
    "TensorSpec",
    "host_node_model",
    "host_node_operands",
    "import_model",
    "input_names",
    "load_model",
    "output_names",
]
