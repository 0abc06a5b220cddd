"""The Keras frontend: everything that knows Keras models."""
