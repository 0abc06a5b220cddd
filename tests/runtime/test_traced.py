"""Programs that run op by op: those without XLA, where it is asked for, and no others."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from fastism_compiler.runtime.traced import Traced, op_by_op

pytestmark = pytest.mark.traced


def traced(jit: bool) -> Traced:
    return Traced(lambda x: 2 * x if tf.executing_eagerly() else 3 * x, jit, lambda: (tf.TensorSpec([2], tf.float32),))


def test_op_by_op_is_for_programs_without_xla() -> None:
    x = tf.constant([1.0, 2.0])
    with op_by_op():
        plain, jitted = traced(False), traced(True)
        with op_by_op(False):
            np.testing.assert_array_equal(traced(False)(x), [3, 6])
        np.testing.assert_array_equal(plain(x), [2, 4])
        np.testing.assert_array_equal(jitted(x), [3, 6])
    np.testing.assert_array_equal(traced(False)(x), [3, 6])
    np.testing.assert_array_equal(plain(x), [2, 4])
    assert plain.outputs.shape == (2,)


def test_the_switch_of_tensorflow_changes_no_program() -> None:
    """The package itself turns it on for a moment, while another thread may run a program."""
    tf.config.run_functions_eagerly(True)
    try:
        np.testing.assert_array_equal(traced(False)(tf.constant([1.0, 2.0])), [3, 6])
    finally:
        tf.config.run_functions_eagerly(False)
