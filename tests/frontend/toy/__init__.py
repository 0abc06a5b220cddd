"""A second frontend: models of one convolution in plain numpy. This folder, and one line in the registry, are all."""
