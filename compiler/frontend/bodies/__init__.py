"""Bodies of operators that ONNX, or ONNX Runtime, defines without one; a file a family."""
