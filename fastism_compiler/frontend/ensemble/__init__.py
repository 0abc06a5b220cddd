"""Several models of one input as one model: folds and ensembles, of any frameworks."""
