"""The databases and the store that a command looks at, opened when they are first asked for."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from doltflow.errors import (
    AccessDeniedError,
    AmbiguousDatabaseError,
    DatabaseLockedError,
    DatabaseNotFoundError,
    DoltError,
    DoltNotFoundError,
    DoltVersionError,
    RefNotFoundError,
    ServerUnreachableError,
    StoreNotFoundError,
    TableNotFoundError,
    UsageError,
    nearest,
)
from doltflow.model.access import Access
from doltflow.model.artifact import DatabaseConfig
from doltflow.model.commit import Commit
from doltflow.model.pathspec import Pathspec
from doltflow.model.table import TableVersion
from doltflow.sources.dolt import Database, Location, Session, databases_at, databases_in, is_address, is_same
from doltflow.sources.metaflow.another import OtherRun
from doltflow.sources.metaflow.profile import using
from doltflow.sources.metaflow.store import Store
from doltflow.workspace.at import head_of, nowhere
from doltflow.workspace.commits import Commits
from doltflow.workspace.index import Index, Made, index_file
from doltflow.workspace.opening import Opening, close_all
from doltflow.workspace.runindex import RunIndex
from doltflow.workspace.settings import Settings

T = TypeVar("T")
_BRANCHES = 100
_WHERE = "Looked at are the folder, those just below it, and those in the setting `databases`."
ELSEWHERE = "Go to the folder that holds it, or name it in the setting `databases`."
"""What to do about a database that a record names and that is not here."""
GONE = "Was it garbage-collected, or is this a clone that is not up to date (`dolt fetch`)?"
"""What to do about a commit that a record names and its database does not have."""


class Workspace:
    """Databases by name, one session with each, and Metaflow's store where there is one.

    What was asked once is not asked again: a workspace lives as long as one command.

    Attributes:
        place: The folder that is looked at.
        asked: The name of the database that was asked for, if one was.
        fetched: The remotes that were fetched from, by database and name.
        others: Runs of other profiles' stores that were asked for, by `Flow/run_id`.
    """

    def __init__(self, stack: ExitStack, folder: Path | None = None) -> None:
        self.place = (folder or Path.cwd()).absolute()
        self.asked: str | None = None
        self.fetched: set[tuple[str, str]] = set()
        self._warnings: dict[str, None] = {}
        self._folder = folder
        self._stack = stack
        self._databases: dict[str, Database] = {}
        self._unreadable: dict[str, str] = {}
        self._openings: dict[str, Opening] = {}
        self._sessions: dict[str, Session] = {}
        self._commits: dict[str, Commits] = {}
        self._tables: dict[tuple[str, str], list[str]] = {}
        self._spellings: dict[str, set[str]] = {}
        self._versions: dict[tuple[str, str, str], TableVersion | None] = {}
        self.others: dict[str, OtherRun] = {}
        self._store: Store | None = None
        self._store_asked = False
        stack.callback(lambda: close_all(self._openings.values()))

    def warn(self, text: str) -> None:
        """Adds a warning, unless it was given."""
        self._warnings[text] = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was found wrong on the way, in the order found; each once."""
        return tuple(self._warnings)

    # Databases

    def add(self, database: Database) -> None:
        """Makes a database known; one of that name that is known already stays."""
        known = self._databases.setdefault(database.name, database)
        if not is_same(known.location, database.location):
            here, there = known.location, database.location
            self.warn(f"Two databases are called `{database.name}`: {here} is looked at, {there} is not.")

    def ask(self, database: str) -> None:
        """Makes a database the one that is asked for, by its name if one of that name is known, else by its place.

        Raises:
            DatabaseNotFoundError: There is none.
        """
        self.asked = self.find_database(database)

    def find_database(self, text: str) -> str:
        """The name of the database that a user means by its name or place, which is known from here on.

        One whose name another one here has is called by its place.

        Raises:
            DatabaseNotFoundError: There is none.
        """
        if text in self._databases:
            return text
        try:
            if not ("/" in text or Path(text).expanduser().exists()):
                raise DatabaseNotFoundError(
                    f"There is no database `{text}` in {self.place}.", nearest(text, self._databases) or _WHERE
                )
            found = Database.at(text)
        except (OSError, RuntimeError, ValueError) as error:  # `~name` of nobody here, or what no system allows.
            raise DatabaseNotFoundError(f"`{text}` cannot be opened as a database: {error}") from error
        known = self._databases.get(found.name, found)
        if known.location.identity != found.location.identity:
            found = replace(found, name=text)
        self.add(found)
        return found.name

    @property
    def locations(self) -> dict[str, Location]:
        """Where the databases are that are known so far, by name; none is opened."""
        return {name: database.location for name, database in self._databases.items()}

    @property
    def names(self) -> list[str]:
        """The names of the databases; one that cannot be read is warned of and left out."""
        waiting = sorted(set(self._databases) - set(self._sessions) - set(self._unreadable))
        for name in waiting:
            self.begin(name)
        for name in waiting:
            try:
                self.session(name)
            except (DoltNotFoundError, DoltVersionError, DatabaseLockedError):
                raise
            except DoltError as error:
                self.leave_out(name, error)
        return sorted(set(self._databases) - set(self._unreadable))

    def leave_out(self, name: str, error: DoltError) -> None:
        """Goes on without a database, or without a server that is set."""
        self._unreadable[name] = error.message
        self.warn(f"{'The server' if is_address(name) else 'The database'} `{name}` is left out: {error.message}")

    def no_database(self) -> DatabaseNotFoundError:
        """What to say where there is none."""
        left = [f"`{name}` is left out: {why}" for name, why in self._unreadable.items()]
        return DatabaseNotFoundError(
            f"There is no Dolt database in {self.place} or just below it.",
            " ".join(left)
            or "Go to the folder that holds them, or name them with `--database` or in the setting `databases`.",
        )

    def prepare(self) -> None:
        """Opens the databases and the store, all at once: for who needs them all."""
        for name in set(self._databases) - set(self._unreadable):
            self.begin(name)
        _ = self.store

    def begin(self, name: str) -> None:
        """Has a database opened, for who will ask for it soon."""
        if name not in self._openings:
            self._openings[name] = Opening(self._databases[name])

    def session(self, name: str) -> Session:
        """The session with a database.

        Raises:
            DatabaseNotFoundError: There is none of that name.
        """
        if name not in self._sessions:
            if name not in self._databases:
                raise DatabaseNotFoundError(
                    f"There is no database `{name}` in {self.place}.", nearest(name, self._databases) or _WHERE
                )
            self.begin(name)
            self._sessions[name] = self._openings[name].session()
        return self._sessions[name]

    def learn(self, access: Access, config: DatabaseConfig | None) -> None:
        """Makes the database that a run names known, where none that is known is it and it is still there."""
        if self.database_of(access) is not None:
            return
        for place in (access.folder, config.database if config else None):
            own = self.locations.values()
            if place and (found := Database.recorded(place, own, self.place)) is not None:
                self.add(found)
                return
            if place and is_address(place):
                self.warn(
                    f"A run names the database `{access.database}` at {place}, a server that you have not named: it is "
                    "not asked. Name it in DOLTFLOW_DATABASES or the setting `databases` if it is yours."
                )

    def database_of(self, access: Access) -> str | None:
        """The name of the database here that an access went to; None where it is not here.

        A folder may have been renamed since, and an old record may name it by a path that says nothing, such as `.`:
        then the commit tells.
        """
        named = access.database if access.database in self.names else None
        commit = access.commit
        if commit is None or (named is not None and self.find_commit(named, commit) is not None):
            return named
        holders = [name for name in self.names if self.find_commit(name, commit) is not None]
        return holders[0] if len(holders) == 1 else named

    # Commits

    def commits(self, name: str) -> dict[str, Commit]:
        """The commits of all branches of a database by hash, newest first: its whole log."""
        return self.commits_of(name).all()

    def commits_of(self, name: str) -> Commits:
        """What is known of the commits of a database."""
        if name not in self._commits:
            session = self.session(name)
            self._commits[name] = Commits(session, Index(index_file(session.database.location.identity)))
            self._stack.callback(self._commits[name].close)
        return self._commits[name]

    def repair_index(self) -> None:
        """Makes the cache of what was found out of the histories and runs here anew. No data is touched."""
        for name in self.names:
            self.commits_of(name).repair()
        if self.store is not None:
            index = RunIndex.of_store(self.store)
            index.clear()
            index.close()

    def refresh(self) -> None:
        """Looks again at what has changed: for who has made commits or runs meanwhile."""
        for commits in self._commits.values():
            commits.refresh()

    def find_commit(self, name: str, hash_: str) -> Commit | None:
        """A commit of a database, also one that no branch reaches; None where there is none."""
        return self.commits_of(name).find(hash_)

    def commits_of_run(self, run: str) -> list[Commit]:
        """The commits that a run, `Flow/run_id`, made in the databases here, oldest first."""
        found = [commit for name in self.names for commit in self.commits_of(name).of_run(run)]
        return sorted(found, key=lambda commit: commit.date)

    def made_by_runs(self) -> dict[Pathspec, list[Made]]:
        """The commits of every run that made some, newest first within a database, without their messages."""
        found: dict[Pathspec, list[Made]] = {}
        for name in self.names:
            for made in self.commits_of(name).made():
                run = Pathspec.parse(made.run)
                if run is not None:
                    found.setdefault(run, []).append(made)
        return found

    def runs_of_commits(self) -> dict[Pathspec, list[Commit]]:
        """The commits of every run that made some, newest first within a database."""
        found: dict[Pathspec, list[Commit]] = {}
        for name in self.names:
            for commit in self.commits(name).values():
                if commit.run is not None:
                    found.setdefault(commit.run.pathspec.zoomed("run"), []).append(commit)
        return found

    # Tables

    def tables(self, name: str, at: str) -> list[str]:
        """The names of the tables of a database at a commit."""
        key = (name, at)
        if key not in self._tables:
            self._tables[key] = self.session(name).tables(at)
            self._spellings.setdefault(name, set()).update(self._tables[key])
        return self._tables[key]

    def spelled(self, name: str, table: str, at: str) -> str | None:
        """A table's name as a database spells it at a commit; None where it is not there."""
        known = self.tables(name, at)
        return table if table in known else next((t for t in known if t.casefold() == table.casefold()), None)

    def version(self, name: str, table: str, at: str) -> TableVersion | None:
        """The version of a table of a database at a commit; None where the table is not there.

        Raises:
            DoltError: Dolt cannot tell which commit it is that last changed it, as in a shallow clone.
        """
        key = (name, table, at)
        if key not in self._versions:
            # A name that was seen as Dolt spells it need not be looked up at every commit.
            spelled = table if table in self._spellings.get(name, ()) else self.spelled(name, table, at)
            self._versions[key] = None
            if spelled is not None:
                with suppress(TableNotFoundError):
                    self._versions[key] = TableVersion(name, spelled, self.commits_of(name).last_change(spelled, at))
        return self._versions[key]

    def newest_by_run(self, version: TableVersion, commit: Commit) -> TableVersion | None:
        """The newest version before one made by hand that a run made; None where no run ever wrote the table."""
        hash_ = self.commits_of(version.database).newest_by_run(version.table, commit.parents[:1])
        return self.version(version.database, version.table, hash_) if hash_ is not None else None

    def changed_tables(self, commit: Commit) -> list[str]:
        """The tables that a commit left other than its first parent had them."""
        session, before = self.session(commit.database), commit.parents[:1]
        return [
            table
            for table in self.tables(commit.database, commit.hash)
            if session.table_hash(table, commit.hash) not in [session.table_hash(table, parent) for parent in before]
        ]

    def find_table(self, table: str, database: str | None, at: str | None) -> TableVersion:
        """The version of a table that a user means.

        Args:
            table: The table's name.
            database: The database's name, or None to look in all.
            at: A ref; None for each database's default branch.

        Raises:
            TableNotFoundError, DatabaseNotFoundError, RefNotFoundError: It is not there.
            AmbiguousDatabaseError: Several databases have it.
        """
        names = self.names if database is None else [database]
        if not names:
            raise self.no_database()
        commits: dict[str, str] = {}
        missing: list[RefNotFoundError] = []
        for name in names:
            session = self.session(name)
            try:
                commits[name] = head_of(session, at)
            except RefNotFoundError as error:
                missing.append(error)
        if not commits:
            raise nowhere(missing)
        there = [name for name, commit in commits.items() if self.spelled(name, table, commit) is not None]
        if len(there) > 1:
            raise AmbiguousDatabaseError(
                f"Several databases have a table `{table}`: {', '.join(there)}.", "Say which with `--database`."
            )
        found = self.version(there[0], table, commits[there[0]]) if there else None
        if found is None:
            raise self._no_table(table, commits, at, [error.message for error in missing])
        return found

    def _no_table(self, table: str, commits: dict[str, str], at: str | None, more: list[str]) -> TableNotFoundError:
        names = ", ".join(f"`{name}`" for name in commits)
        which = f"The database {names} has no" if len(commits) == 1 else f"None of the databases {names} has a"
        where = f"at `{at}`" if at is not None else "on its default branch"
        known = {name for database, commit in commits.items() for name in self.tables(database, commit)}
        hints = [nearest(table, known) or "There are no tables at all."]
        if at is None:
            hints += self._elsewhere(table, commits)
        hints += more + [f"`{name}` was left out: {why}" for name, why in self._unreadable.items()]
        return TableNotFoundError(f"{which} table `{table}` {where}.", " ".join(hints))

    def _elsewhere(self, table: str, databases: Iterable[str]) -> list[str]:
        """Which other branch has a table."""
        return [
            f"The branch `{branch}` of `{name}` has it: `--at {branch}`."
            for name in databases
            for branch, head in sorted(self.session(name).branches().items())[:_BRANCHES]
            if self.spelled(name, table, head) is not None
        ][:1]

    # The store

    @property
    def store(self) -> Store | None:
        """Metaflow's store, or None and a warning where there is none."""
        if not self._store_asked:
            self._store_asked = True
            try:
                self._store = Store(self._folder)
            except StoreNotFoundError as error:
                self.go_on_without(error)
        return self._store

    def ask_store(self, question: Callable[[Store], T]) -> T | None:
        """What the store answers; None, and a warning, where there is none or it cannot be read."""
        try:
            return question(self.store) if self.store is not None else None
        except StoreNotFoundError as error:
            self.go_on_without(error)
            return None

    def go_on_without(self, error: StoreNotFoundError) -> None:
        """Says that the store does not tell."""
        self.warn(f"{error.message} Going on from the commits alone.")


@contextmanager
def open_workspace(settings: Settings, database: str | None = None, folder: Path | None = None) -> Iterator[Workspace]:
    """The workspace of a folder.

    Args:
        settings: What is set.
        database: A database that is asked for, by name or path.
        folder: The folder to look in; the current one without it.

    Raises:
        DatabaseNotFoundError: What is asked for or set is not there, or not a database.
    """
    with ExitStack() as stack:
        stack.enter_context(using(settings.profile))
        workspace = Workspace(stack, folder)
        is_path = database is not None and ("/" in database or database.startswith(("~", ".")))
        if database is not None and is_path:
            workspace.ask(database)
        for found in databases_in(workspace.place):
            workspace.add(Database.at(found))
        for place in settings.databases:
            try:
                for each in databases_at(place):
                    workspace.add(each)
            except (ServerUnreachableError, AccessDeniedError) as error:
                workspace.leave_out(place, error)
            except (DoltError, UsageError) as error:
                raise type(error)(f"{error.message} {settings.origin} names it.", error.hint) from error
        if database is not None and not is_path:
            workspace.ask(database)
        yield workspace
