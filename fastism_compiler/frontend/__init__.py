"""Frontends: Keras, ONNX and TensorFlow models lowered to `ir.Graph`."""
