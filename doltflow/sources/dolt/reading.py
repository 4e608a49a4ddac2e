"""The connection for SQL that a user wrote: what it is given can only read, whether or not anybody has checked it.

A revision of a database refuses few writes. So on a server of doltflow's own the account may do nothing but SELECT, and
on any server every statement is first explained, which Dolt does of nothing but queries and changes of rows, and runs
in a transaction that is read-only, which refuses the changes of rows. (Of the account alone, Dolt 1.83 lets SET PERSIST
pass, which writes into the database's folder; of the transaction alone, CREATE TABLE and all procedures.)
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from doltflow.errors import DoltError, QueryError
from doltflow.model.quoting import literal
from doltflow.sources.dolt.connection import Connection, Stream

READER = "doltflow_reader"
_EXPLAIN = "explain plan "
_SHOWN = 300


class ReadingConnection(Connection):
    """A connection on which a query is only run where Dolt itself says that it is one."""

    before_stream = ("start transaction read only",)

    def rows(self, query: str | bytes, args: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The rows of a result. What is no SELECT is doltflow's own, such as `show columns`."""
        if not args and isinstance(query, str) and query.startswith("select"):
            self._check(query)
        return super().rows(query, args)

    @contextmanager
    def stream(self, query: str) -> Iterator[Stream]:
        """A result that is read row by row.

        Raises:
            QueryError: It is no query, or it writes its result somewhere.
        """
        self._check(query)
        with super().stream(query) as found:
            yield found

    def _check(self, query: str) -> None:
        try:
            plan = self._plan(query)
        except QueryError as error:
            inner = query.rstrip("; \t\r\n")
            try:  # VALUES alone is not explained. Nothing else than a query can stand in these parentheses.
                plan = self._plan(f"select * from ({inner}\n) as t")
            except DoltError:
                raise QueryError(_moved(error.message), f"The query was: {query[:_SHOWN]}") from error
        if plan.startswith("Into"):
            raise QueryError("The query writes its result somewhere (INTO).", "Give one SELECT.")

    def _plan(self, query: str) -> str:
        """The first line of how Dolt would run a query."""
        rows = super().rows(_EXPLAIN + query)
        return str(rows[0][0]) if rows else ""


def _moved(message: str) -> str:
    """A message about a query, from one about the query behind `_EXPLAIN`."""
    return re.sub(r"(?<=at position )\d+", lambda found: str(int(found[0]) - len(_EXPLAIN)), message)


def reading(connection: Connection) -> ReadingConnection:
    """A connection that can only read, beside one that may do everything."""
    endpoint = connection.endpoint
    if endpoint.load_folder is None:  # Somebody else's server, whose accounts are not ours to make.
        return ReadingConnection(endpoint, connection.database)
    # Whoever knows the server's secret knows the account's: nothing has to be kept for the other users of the server.
    secret = hashlib.sha256(f"{READER}:{endpoint.password}".encode()).hexdigest()
    account, name = replace(endpoint, user=READER, password=secret), literal(READER)
    if not connection.rows(f"select 1 from mysql.user where user = {name} and select_priv = 'Y'"):
        connection.rows(f"create user if not exists {name}@'%' identified by {literal(secret)}")
        connection.rows(f"grant select on *.* to {name}@'%'")
    return ReadingConnection(account, connection.database)
