"""Which numbers `--tolerance` calls equal."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doltflow.compare.cells import differs
from doltflow.compare.tolerance import Tolerance
from doltflow.errors import UsageError


@pytest.mark.parametrize(
    ("text", "amount", "is_relative"),
    [
        ("0", Fraction(0), False),
        ("0.01", Fraction(1, 100), False),
        (".5", Fraction(1, 2), False),
        ("5.", Fraction(5), False),
        ("1e-3", Fraction(1, 1000), False),
        ("1E+3", Fraction(1000), False),
        (" 1 % ", Fraction(1, 100), True),
        ("0%", Fraction(0), True),
        ("12.5%", Fraction(1, 8), True),
        ("2e2%", Fraction(2), True),
        ("0.1000000000000000055511151231257827", Fraction("0.1000000000000000055511151231257827"), False),
    ],
)
def test_what_is_meant(text: str, amount: Fraction, is_relative: bool) -> None:
    assert Tolerance.parse(text) == Tolerance(amount, is_relative, text.strip())


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "%",
        "-1",
        "-0",
        "+1",
        "1 2",
        "1,5",
        "a",
        "nan",
        "inf",
        "1e",
        "1e1000",
        "1e5.5",
        "1%%",
        "%1",
        "0x1",
        "1_0",
        "١",
    ],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(UsageError, match=r"The tolerance `.*` is no number of 0 or more\.") as caught:
        Tolerance.parse(text)
    assert caught.value.hint == "`0.01` is a distance, `1%` a part of the earlier number."


def different(before: Any, after: Any, kind: pa.DataType, tolerance: str, other: pa.DataType | None = None) -> bool:
    arrays = pa.array([before], kind), pa.array([after], other or kind)
    return bool(differs(*arrays, Tolerance.parse(tolerance))[0].as_py())


INT, UINT, MONEY, HUGE = pa.int64(), pa.uint64(), pa.decimal128(20, 2), pa.decimal256(65, 30)
BORDERS = [
    (MONEY, "1.00", "1.01", "0.01", False),
    (MONEY, "1.00", "1.02", "0.01", True),
    (MONEY, "1.00", "0.99", "0.01", False),
    (MONEY, "100.00", "101.00", "1%", False),
    (MONEY, "100.00", "101.01", "1%", True),
    (MONEY, "-100.00", "-99.00", "1%", False),
    (MONEY, "-100.00", "-98.99", "1%", True),
    (MONEY, "0.00", "0.01", "100%", True),
    (MONEY, "0.00", "0.00", "0%", False),
    # Of the earlier number, not of the later one.
    (MONEY, "1.00", "2.00", "50%", True),
    (MONEY, "2.00", "1.00", "50%", False),
    (MONEY, "0.03", "0.02", "33.333333333333333333333%", True),
    (MONEY, "0.03", "0.02", "33.333333333333333333334%", False),
    (INT, 2**63 - 1, -(2**63), "18446744073709551615", False),
    (INT, 2**63 - 1, -(2**63), "18446744073709551614", True),
    (UINT, 2**64 - 1, 2**64 - 2, "0.999999", True),
    (UINT, 2**64 - 1, 2**64 - 2, "1", False),
    (INT, 2**53, 2**53 + 1, "0", True),
    # More digits than Arrow's decimals have.
    (HUGE, "0", "1e-30", "1e-30", False),
    (HUGE, "0", "2e-30", "1e-30", True),
    (HUGE, "0", "1e-30", "9.99e-31", True),
    (HUGE, "9e34", "-9e34", "1e-300", True),
    (HUGE, "9e34", "-9e34", "200%", False),
    (HUGE, "9e34", "-90000000000000000000000000000000000.000000000000000000000000000001", "200%", True),
    (MONEY, "1.00", "1.01", "1e999", False),
    (MONEY, "1.00", "1.01", "1e-999%", True),
]


@pytest.mark.parametrize(("kind", "before", "after", "tolerance", "expected"), BORDERS)
def test_borders_are_exact(kind: pa.DataType, before: Any, after: Any, tolerance: str, expected: bool) -> None:
    values = [Decimal(value) if isinstance(value, str) else value for value in (before, after)]
    assert different(*values, kind, tolerance) is expected


def test_doubles_are_compared_as_doubles() -> None:
    double = pa.float64()
    assert different(1.0, 1.5, double, "0.5") is False
    assert different(1.0, 1.5, double, "0.49") is True
    assert different(0.0, 5e-324, double, "1e999%") is True
    assert different(0.0, -0.0, double, "0") is False
    assert different(-1e308, 1e308, double, "1e308") is True
    assert different(1.0, 1e300, double, "1e999") is False
    assert different(0.5, 0.25, pa.float32(), "50%") is False
    assert different(0.5, Decimal("0.26"), double, "50%", pa.decimal128(5, 2)) is False


def test_what_is_no_number_knows_no_tolerance() -> None:
    assert different("1", "2", pa.string(), "5") is True
    assert different("1", 1, pa.string(), "5", pa.int64()) is False
    assert different(None, 1, pa.int64(), "5") is True
    assert different(None, None, pa.int64(), "0") is False


@given(
    before=st.decimals(-(10**20), 10**20, places=2),
    by=st.decimals(-10, 10, places=2),
    tolerance=st.decimals(0, 10, places=2),
    is_relative=st.booleans(),
)
@settings(deadline=None, derandomize=True, max_examples=200)
def test_any_decimals(before: Decimal, by: Decimal, tolerance: Decimal, is_relative: bool) -> None:
    kind = pa.decimal128(38, 2)
    old, new = Fraction(before), Fraction(before) + Fraction(by)
    limit = Fraction(tolerance) / 100 * abs(old) if is_relative else Fraction(tolerance)
    after = Decimal(new.numerator) / Decimal(new.denominator) if abs(new) < 10**20 else before
    text = f"{tolerance}%" if is_relative else str(tolerance)
    expected = abs(Fraction(after) - old) > limit
    assert different(before, after, kind, text) is expected
