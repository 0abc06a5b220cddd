"""The TensorFlow frontend: SavedModel folders, whichever framework wrote them."""
