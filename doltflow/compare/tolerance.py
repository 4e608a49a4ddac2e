"""`--tolerance`: up to which difference two numbers are called equal."""

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from doltflow.errors import UsageError

_FORM = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)(?:e([+-]?\d{1,3}))?\s*(%?)\s*", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far two numbers may lie apart and be called equal.

    Attributes:
        amount: The distance; of a relative one the part of the earlier number, 1 % as 1/100.
        is_relative: Whether it is a part of the earlier number.
        text: As it was given.
    """

    amount: Fraction
    is_relative: bool
    text: str

    @classmethod
    def parse(cls, text: str) -> "Tolerance":
        """The tolerance that a user means: `0.01` or `1%`.

        Raises:
            UsageError: It is none.
        """
        match = _FORM.fullmatch(text)
        if match is None:
            raise UsageError(
                f"The tolerance `{text}` is no number of 0 or more.",
                "`0.01` is a distance, `1%` a part of the earlier number.",
            )
        amount = Fraction(Decimal(match[1])) * Fraction(10) ** int(match[2] or 0)
        return cls(amount / 100 if match[3] else amount, bool(match[3]), text.strip())
