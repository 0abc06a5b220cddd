"""Small PyTorch models after published architectures, exported to ONNX, with their effects by PyTorch itself.

`python -m benchmarks.torch_models` writes them into `tests/frontend/onnx/models`; it alone needs PyTorch.
"""
