"""What one can ask a database while it is open. The door of this folder: `Session`."""

from doltflow.sources.dolt.session.comparing import Comparing

__all__ = ["Session"]


class Session(Comparing):
    """What one can ask a database while it is open. Every question names its commit or branch."""
