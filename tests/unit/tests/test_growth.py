# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the measurement of growth makes of its figures, and that it sees the memory of other processes."""

from __future__ import annotations

import argparse
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "bench"))

import growth
from growth import Figure, Memory

# Holds 80 MiB in a child of a child until its input ends.
_CHILD = "import sys; held = bytearray(80 << 20); print('held', flush=True); sys.stdin.read()"
_PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {_CHILD!r}])"


def test_a_line_through_points_that_lie_on_one():
    assert growth.line([(2, 23), (5, 38), (16, 93)]) == pytest.approx((13, 5))


def test_a_line_through_measured_points_is_between_them():
    base, slope = growth.line([(2, 23), (8, 50), (16, 93)])
    assert 4.5 < slope < 5.5
    assert sum(base + slope * x - y for x, y in [(2, 23), (8, 50), (16, 93)]) == pytest.approx(0)


def test_the_report_continues_each_line():
    figures = [Figure("again", 2, 23.0, 210.0), Figure("again", 4, 33.0, 220.0), Figure("join", 3, 9.0, 100.0)]
    assert growth.report(figures).splitlines() == [
        "  (again) 13.0 s + 5.00 s for each worker; with 1000 workers 5013 s",
        "  (again) 200.0 MiB + 5.00 MiB for each worker; with 1000 workers 5200 MiB",
    ]


def test_memory_of_grandchildren_is_seen():
    command = [sys.executable, "-c", _PARENT]
    with Memory(interval=0.01) as memory, subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        while memory.peak_mib < 80:
            memory._ended.wait(0.01)
        process.communicate()
    assert growth.descendants(process.pid) == []
    assert 80 <= memory.peak_mib < 400


@pytest.mark.parametrize(("text", "numbers"), [("2,5,10,20", [2, 5, 10, 20]), ("20,2,2", [2, 20]), ("149", [149])])
def test_sizes(text, numbers):
    assert growth.sizes(text) == numbers


@pytest.mark.parametrize("text", ["", "0", "150", "2,", "two", "-2"])
def test_what_is_not_a_size(text):
    with pytest.raises(argparse.ArgumentTypeError, match="numbers from 1 to 149"):
        growth.sizes(text)
