"""The frontend: Keras models lowered to `ir.Graph`."""
