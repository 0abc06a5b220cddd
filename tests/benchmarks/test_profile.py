from __future__ import annotations

import pytest

from benchmarks.profile import kind_of, shares

REPORT = """
# Overhead  Shared Object  Symbol
    36.66%  libtensorflow_cc.so.2         [.] ynn::dot_fp32_5x32x2_1x8x2_avx512f      -      -
     7.44%  libtensorflow_cc.so.2         [.] ynn::interleave4_x32_avx2
     0.85%  libtensorflow_framework.so.2  [.] Eigen::RunQueue<tsl::thread::EigenEnvironment::Task, 1024u>::PopBack
    12.05%  [JIT] tid 11178               [.] 0x00007fc4b42fd591
     0.44%  libc.so.6                     [.] __memmove_avx512_unaligned_erms
     1.00%  libpython3.11.so.1.0          [.] _PyEval_EvalFrameDefault
"""


def test_symbols_are_counted_by_kind() -> None:
    assert shares(REPORT) == pytest.approx(
        {
            "products": 36.66,
            "packing": 7.44,
            "waiting and scheduling": 0.85,
            "copies and allocation": 0.44,
            "Python": 1.0,
            "fused loops": 12.05,
            "the rest": 0.0,
        }
    )


def test_what_matches_nothing_is_the_rest() -> None:
    assert kind_of("ld-linux-x86-64.so.2 [.] __tls_get_addr") == "the rest"
