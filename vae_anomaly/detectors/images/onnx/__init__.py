"""A fitted image detector as one ONNX file."""
