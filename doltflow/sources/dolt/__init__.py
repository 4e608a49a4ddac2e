"""Dolt databases. The door of this folder: `Database.at(path)`, and `with database.open() as session`."""

from doltflow.sources.dolt.author import format_author
from doltflow.sources.dolt.database import Database, databases_in, is_database
from doltflow.sources.dolt.past import Part
from doltflow.sources.dolt.refs import HASH
from doltflow.sources.dolt.session import Session

__all__ = ["HASH", "Database", "Part", "Session", "databases_in", "format_author", "is_database"]
