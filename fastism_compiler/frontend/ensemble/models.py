"""`Ensemble`: several models, and how their outputs become one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastism_compiler.ir.errors import OptionError

Combine = str | Callable[[list[Any]], Any] | None
"""`"mean"`, `"logits"`, a function of the list of one output of every model, or None: keep all outputs."""


@dataclass(frozen=True, slots=True, eq=False)
class Ensemble:
    """Several models that take the same inputs and return the same outputs.

    Attributes:
        models: of any framework, or paths.
        combine: `"mean"`: the mean over models. `"logits"`: of probabilities, the mean of their log odds, as a
            probability; what lies outside 0 .. 1 becomes NaN. A function: called for each output with the list of
            every model's, made of `keras.ops`. None: all outputs of all models.

    Raises:
        OptionError: no model, or no such rule.
    """

    models: tuple[Any, ...]
    combine: Combine = "mean"

    def __post_init__(self) -> None:
        if not self.models:
            raise OptionError("an ensemble has at least one model", got="no model")
        check_combine(self.combine)

    def combined(self, flat: Sequence[Any]) -> list[Any]:
        """The outputs of the ensemble: flat outputs of the first model, then of the second, and so on, combined."""
        if self.combine is None:
            return list(flat)
        outputs = len(flat) // len(self.models)
        rule = self.combine if callable(self.combine) else _RULES[self.combine]
        combined = [rule(list(flat[k::outputs])) for k in range(outputs)]
        several = [type(y).__name__ for y in combined if isinstance(y, list | tuple | dict)]
        if several:
            raise OptionError("combine= makes one tensor of a list of tensors", expected="a tensor", got=several[0])
        return combined


def check_combine(combine: Any) -> None:
    """Refuse what is no way to combine models.

    Raises:
        OptionError: neither a rule, a function nor None.
    """
    if not (combine is None or callable(combine) or (isinstance(combine, str) and combine in _RULES)):
        expected = f"one of {list(_RULES)}, a function, or None"
        raise OptionError("no such way to combine models", expected=expected, got=repr(combine))


def _mean(outputs: list[Any]) -> Any:
    from keras import backend, ops  # loads TensorFlow

    if not backend.is_float_dtype(backend.standardize_dtype(outputs[0].dtype)):
        outputs = [ops.cast(y, "float32") for y in outputs]
    total = outputs[0]
    for y in outputs[1:]:
        total = total + y
    return total / len(outputs)


def _mean_of_logits(outputs: list[Any]) -> Any:
    from keras import ops  # loads TensorFlow

    return ops.sigmoid(_mean([_log_odds(y) for y in outputs]))


def _log_odds(p: Any) -> Any:
    """The log odds of a probability; of 0 and 1, those of the numbers beside them; NaN outside of 0 .. 1."""
    from keras import backend, ops  # loads TensorFlow

    numbers = np.finfo(backend.standardize_dtype(p.dtype))
    below_one = ops.where(p == 1, 1 - float(numbers.epsneg), p)  # where a sigmoid was rounded
    inside = ops.where(below_one == 0, float(numbers.tiny), below_one)
    return ops.log(inside) - ops.log1p(-inside)


_RULES: dict[str, Callable[[list[Any]], Any]] = {"mean": _mean, "logits": _mean_of_logits}
