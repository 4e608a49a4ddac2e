"""A version of a table that can be opened again, and two of them open."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from doltflow.compare.asked import Asked
from doltflow.compare.changed import Comparison
from doltflow.compare.merging import Side
from doltflow.sources.dolt import Database, Location, Session


@dataclass(frozen=True, slots=True)
class Version:
    """A table at a commit.

    Attributes:
        database: The database's name.
        location: Where it is.
        table: The table's name, as the database spells it.
        commit: Full hash of a commit that has it so.
        run: `Flow/run_id` of the run that wrote it, where one did.
    """

    database: str
    location: Location
    table: str
    commit: str
    run: str | None = None


Open = Callable[[Version], Session]
"""Gives the session with a version's database."""


def comparison(before: Version | None, after: Version | None, asked: Asked, session: Open) -> Comparison:
    """Two versions of a table, ready to be compared: in one database, where one has the commits of both."""
    sides = [None if version is None else (session(version), version) for version in (before, after)]
    one, other = sides
    if one is not None and other is not None and one[0] is not other[0]:
        # Clones of one database: what is in both is in each.
        if other[0].has_commit(one[1].commit):
            one = (other[0], one[1])
        elif one[0].has_commit(other[1].commit):
            other = (one[0], other[1])
    return Comparison(_side(one), _side(other), asked)


def _side(place: tuple[Session, Version] | None) -> Side | None:
    if place is None:
        return None
    session, version = place
    definition = session.definition(version.table, version.commit)
    return None if definition is None else Side(session, definition, version.commit)


@contextmanager
def reopened(before: Version | None, after: Version | None, asked: Asked) -> Iterator[Comparison]:
    """Two versions of a table whose databases are opened for it."""
    with ExitStack() as stack:
        sessions: dict[Location, Session] = {}

        def session(version: Version) -> Session:
            if version.location not in sessions:
                database = Database(version.database, version.location)
                sessions[version.location] = stack.enter_context(database.open())
            return sessions[version.location]

        yield comparison(before, after, asked, session)
