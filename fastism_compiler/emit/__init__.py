"""The emitter: from a lowered graph to a traced TensorFlow program."""
