"""Dolt databases. The door of this folder: `Database.at(place)`, and `with database.open() as session`."""

from doltflow.sources.dolt.address import is_address
from doltflow.sources.dolt.author import format_author
from doltflow.sources.dolt.database import (
    VARIABLE,
    Database,
    Location,
    addresses_set,
    check_place,
    configured_database,
    database_set,
    databases_at,
    is_same,
    name_of,
    places_set,
)
from doltflow.sources.dolt.folder import databases_in, folder_of, is_database
from doltflow.sources.dolt.past import Part
from doltflow.sources.dolt.refs import HASH, LONGEST_BRANCH, name_and_steps
from doltflow.sources.dolt.session import Session

__all__ = [
    "HASH",
    "LONGEST_BRANCH",
    "VARIABLE",
    "Database",
    "Location",
    "Part",
    "Session",
    "addresses_set",
    "check_place",
    "configured_database",
    "database_set",
    "databases_at",
    "databases_in",
    "folder_of",
    "format_author",
    "is_address",
    "is_database",
    "is_same",
    "name_and_steps",
    "name_of",
    "places_set",
]
