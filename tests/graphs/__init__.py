"""Small models that cover what real ones are made of: `GRAPHS[name]() -> keras.Model`.

The sequence is always the input called "seq" (or the only one).
"""

from tests.graphs import followed, of_layers
from tests.graphs.registry import GRAPHS

__all__ = ["GRAPHS", "followed", "of_layers"]
