"""`--version`: which doltflow this is, and which Dolt and Metaflow it found."""

from dataclasses import dataclass
from importlib.metadata import version

from doltflow.errors import DoltError


@dataclass(frozen=True, slots=True)
class Versions:
    """Versions of the programs that work together; None for a Dolt that is not there or does not run."""

    doltflow: str
    metaflow: str
    dolt: str | None


def versions() -> Versions:
    """The versions that are in use here."""
    from doltflow.sources.dolt.program import dolt_version

    try:
        dolt: str | None = dolt_version()
    except DoltError:
        dolt = None
    return Versions(version("doltflow"), version("metaflow"), dolt)
