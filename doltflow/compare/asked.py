"""What of a difference is meant."""

from dataclasses import dataclass

from doltflow.compare.tolerance import Tolerance


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a difference is meant.

    Attributes:
        where: A predicate, checked by the caller, that a row must fulfil in one version at least.
        columns: Only these columns are compared; all without any.
        tolerance: What is called equal all the same.
    """

    where: str | None = None
    columns: tuple[str, ...] = ()
    tolerance: Tolerance | None = None

    @property
    def is_all(self) -> bool:
        """Whether all of it is meant, down to the last digit."""
        return self.where is None and self.tolerance is None and not self.columns
