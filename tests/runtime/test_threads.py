"""Threads of lanes: kept, renewed in a forked child, and never left running behind an error."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from fastism_compiler.runtime.threads import side_by_side

ROOT = Path(__file__).parents[2]


def test_results_come_in_order_and_the_first_runs_here() -> None:
    here = threading.get_ident()
    results = side_by_side(lambda number: (number, threading.get_ident()), 4)
    assert [number for number, _ in results] == [0, 1, 2, 3]
    assert [thread == here for _, thread in results] == [True, False, False, False]


def test_all_run_at_once() -> None:
    """Each waits for the others: one after the other, the barrier would break."""
    barrier = threading.Barrier(3, timeout=30)
    side_by_side(lambda _: barrier.wait(), 3)


def test_a_second_call_starts_no_thread() -> None:
    side_by_side(lambda _: time.sleep(0.01), 3)
    before = threading.active_count()
    side_by_side(lambda _: time.sleep(0.01), 3)
    assert threading.active_count() == before


@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_waits_for_the_other_lanes(failing: int) -> None:
    ended = threading.Event()

    def run(number: int) -> None:
        if number == failing:
            raise ValueError(f"lane {number}")
        time.sleep(0.1)
        if number == 2:
            ended.set()

    with pytest.raises(ValueError, match=f"lane {failing}"):
        side_by_side(run, 3)
    assert ended.is_set()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_has_threads_of_its_own() -> None:
    side_by_side(lambda number: number, 2)
    child = os.fork()
    if child == 0:
        os._exit(0 if side_by_side(lambda number: number, 2) == [0, 1] else 1)
    deadline = time.monotonic() + 30
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.01)
    if ended == (0, 0):
        os.kill(child, 9)
        os.waitpid(child, 0)
    assert ended == (child, 0), "the child waited for a thread of its parent"


def test_a_thread_that_outlives_the_main_one_runs_lanes_in_turn() -> None:
    """Python starts no thread any more then."""
    code = """
import threading, time
from fastism_compiler.runtime.threads import side_by_side
def late():
    while threading.main_thread().is_alive():
        time.sleep(0.01)
    print(side_by_side(lambda number: number, 3))
threading.Thread(target=late).start()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout == "[0, 1, 2]\n", done.stderr
