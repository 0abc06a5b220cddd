"""Small models that cover what real ones are made of: `GRAPHS[name]() -> keras.Model`.

The sequence is always the input called "seq" (or the only one).
"""

from tests.graphs import convolutions, followed, of_layers, recurrences, tokens
from tests.graphs.registry import GRAPHS

__all__ = ["GRAPHS", "convolutions", "followed", "of_layers", "recurrences", "tokens"]
