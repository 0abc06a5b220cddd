"""The ONNX frontend: models of PyTorch and others, lowered operator by operator."""
