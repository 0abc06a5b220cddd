"""What a layer does in TensorFlow itself, traced and lowered operation by operation."""
