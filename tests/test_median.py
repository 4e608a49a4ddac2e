"""The median of numbers of which only some are held, against Python's own."""

import math
import statistics

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from doltflow.compare import median
from doltflow.compare.median import Median

numbers = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, -0.0, 5e-324, 1e308, -1e308, 1.5])


def median_of(pieces: list[list[float]], held: int) -> float | None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(median, "HELD", held)
        found = Median()
        for piece in pieces:
            # A slice, as the pieces of a table are.
            found.add(pa.array([math.pi, *piece], pa.float64()).slice(1))
        assert found.count == sum(map(len, pieces))
        return found.value()


@given(pieces=st.lists(st.lists(numbers, max_size=9), max_size=9), held=st.integers(1, 60))
@example(pieces=[[]], held=1)
@example(pieces=[[1.0] * 9, [1.0] * 9], held=2)
@example(pieces=[[1.0] * 5, [2.0] * 5], held=2)
@example(pieces=[[5e-324], [0.0], [-5e-324], [5e-324]], held=1)
@example(pieces=[[-1e308, 1e308], [1e308, -1e308]], held=1)
@example(pieces=[[0.0, -0.0], [-0.0, 0.0, -0.0]], held=1)
@example(pieces=[[float(number)] for number in range(99, 0, -1)], held=3)
@settings(deadline=None, derandomize=True, max_examples=100)
def test_it_is_what_python_says(pieces: list[list[float]], held: int) -> None:
    values = [number for piece in pieces for number in piece]
    expected = statistics.median(values) if values else None
    if expected is not None and math.isinf(expected):
        middle = sorted(values)[len(values) // 2 - 1 : len(values) // 2 + 1]
        expected = middle[0] / 2 + middle[1] / 2
    assert median_of(pieces, held) == expected


@pytest.mark.parametrize("held", [1, 100])
def test_the_greatest_numbers_do_not_leave_the_range(held: int) -> None:
    assert median_of([[1e308], [1.5e308]], held) == 1.25e308
    assert median_of([[5e-324], [5e-324]], held) == 5e-324
    assert median_of([[math.inf, -math.inf, 1.0], [2.0, math.inf]], held) == 2.0


def test_numbers_of_all_sizes_are_passed_over_a_few_times_only(monkeypatch: pytest.MonkeyPatch) -> None:
    passes = []
    all_ = Median._all

    def counted(self: Median) -> object:
        passes.append(1)
        return all_(self)

    monkeypatch.setattr(Median, "_all", counted)
    assert median_of([[1e-300] * 5, [1e308] * 2, [2e-300] * 2, [-1e308, 3e-300]], 2) == 1e-300
    # Once for each bit of a double, and for the two ends.
    assert len(passes) <= 66
