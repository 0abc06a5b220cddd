"""What needs PyTorch: run by `python -m benchmarks.torch_environment -m pytest tests/torch`."""
