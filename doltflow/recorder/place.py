"""Where a context reads and writes: its sessions with databases, and its pin."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from doltflow.errors import ConnectionLostError, DatabaseNotFoundError, UsageError
from doltflow.model.access import Access
from doltflow.model.artifact import DatabaseConfig
from doltflow.model.pins import DatabasePin
from doltflow.recorder.config import DoltConfig
from doltflow.recorder.remote import bring_up_to_date, clone_missing, push
from doltflow.recorder.rerun import Rerun, current_pins
from doltflow.recorder.sessions import Sessions
from doltflow.sources.dolt import (
    Database,
    Session,
    addresses_set,
    configured_database,
    database_set,
    databases_in,
    format_author,
    is_address,
    name_and_steps,
    name_of,
)
from doltflow.sources.metaflow.running import FindTask

Answer = TypeVar("Answer")
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Pin:
    """What the reads of a context see, and where its writes go.

    Attributes:
        branch: The branch that the commit was taken from; None where a rerun sends the reads to a commit.
        commit: The commit that every read sees; in a replay every read that was not recorded.
        undo: Commits of failed attempts of this task on the branch, newest first: the writes take them back.
    """

    branch: str | None
    commit: str
    undo: tuple[str, ...] = ()


class Place:
    """The databases of one context: opened when first asked for, kept as long as they are used.

    Outside a `with` each question has a session of its own; the pin stays.
    """

    def __init__(self, config: DoltConfig | None, find_task: FindTask) -> None:
        self.config = config
        self._find_task = find_task
        self._sessions: Sessions | None = None
        self._pin: Pin | None = None
        self._obeyed: Rerun | None = None

    @property
    def is_open(self) -> bool:
        """Whether this is inside a `with`."""
        return self._sessions is not None

    def open(self) -> None:
        """Begins to keep sessions, and forgets the pin of a context before."""
        self._sessions = Sessions()
        self._pin = None

    def close(self) -> None:
        """Ends the sessions."""
        sessions, self._sessions = self._sessions, None
        if sessions is not None:
            sessions.close()

    def database(self) -> Database:
        """The configuration's database.

        Raises:
            UsageError: There is no configuration.
            DatabaseNotFoundError: It is not there.
            RemoteError: It is not there, and cannot be cloned.
        """
        if self.config is None:
            raise UsageError("This DoltDT reads from an earlier run and has no database of its own.", "Give `config=`.")
        place = self.config.place
        if self._rerun is None:
            clone_missing(self.config)
        elif (found := self._rerun.database(name_of(place), place)) is not None:
            return found
        return configured_database(place)

    @property
    def _rerun(self) -> Rerun | None:
        """What the pins of a rerun say. They are a step's, and not of what else its process may do.

        Raises:
            RecordError, UnpinnedError: The step belongs to a rerun, and its pins are not here.
        """
        task = self._find_task()
        if task is None:
            return None
        if self._obeyed is None:
            pins = current_pins(task)
            self._obeyed = Rerun(pins, self._find_task) if pins is not None else None
        return self._obeyed

    def database_of(self, access: Access, config: DatabaseConfig) -> Database:
        """The database that an access of an earlier run went to: where that run had it, else one of that name here.

        Raises:
            DatabaseNotFoundError: It is in neither place.
        """
        places = [place for place in (access.folder, config.database, access.database) if place]
        near = [] if self.config is None else [self.config.place]
        own = [*addresses_set(), *(Database.at(place).location for place in near if is_address(place))]
        for place in places:
            if (found := Database.recorded(place, own)) is not None:
                return found
        near += map(str, databases_in(Path.cwd()))
        for place in (place for place in near if name_of(place) == access.database):
            if (found := Database.find(place)) is not None:
                return found
        if (found := database_set(access.database)) is not None:
            return found
        where = f"neither at {places[0]} nor" if places else "not"
        raise DatabaseNotFoundError(
            f"The database `{access.database}` of {access.pathspec} is {where} in {Path.cwd()}.",
            "Run this in the folder that holds it, or name its server in DOLTFLOW_DATABASES.",
        )

    @contextmanager
    def session(self, database: Database) -> Iterator[Session]:
        """A session with a database: the context's own, or one for this call alone."""
        with database.open() if self._sessions is None else self._sessions.session(database) as session:
            yield session

    def ask(self, database: Database, question: Callable[[Session], Answer]) -> Answer:
        """What a question that only reads gives; it is asked again where the server ends meanwhile.

        Raises:
            ConnectionLostError: It ended again and again.
        """
        for attempt in range(1, _TRIES):
            with suppress(ConnectionLostError), self.session(database) as session:
                return question(session)
            time.sleep(random.uniform(0.01, 0.1) * attempt)  # noqa: S311  Jitter is no secret.
        with self.session(database) as session:
            return question(session)

    def pin(self, session: Session) -> Pin:
        """The pin of the configuration's database, made at the first question and kept."""
        if self._pin is None:
            config = self.config or DoltConfig(str(session.database.location))
            sent = self._rerun.pin(session) if self._rerun is not None else None
            self._pin = self._own_pin(session, config) if sent is None else self._sent(session, sent)
        return self._pin

    def _own_pin(self, session: Session, config: DoltConfig) -> Pin:
        branch = config.branch or session.default_branch()
        theirs = None
        if self._rerun is None:
            theirs = bring_up_to_date(session, config, branch, self.author(session))
        session.branch_head(branch)
        undo = self._failed_attempts(session, branch)
        return Pin(branch, self._seen(session, config.commit or branch, theirs), undo)

    def _sent(self, session: Session, pin: DatabasePin) -> Pin:
        """As a rerun's pins say, whatever the configuration says."""
        undo = self._failed_attempts(session, pin.branch) if pin.branch is not None else ()
        if pin.commit is not None:
            return Pin(None, pin.commit, undo)
        branch = pin.branch or session.default_branch()
        return Pin(branch, self._seen(session, branch), undo)

    def push(self, session: Session, commit: str) -> None:
        """Pushes the branch that a commit was just made on, where that is asked for; a rerun never does.

        Raises:
            DoltError: It cannot be pushed. The commit stays.
        """
        if self._rerun is None and self.config is not None and self.config.push_on_commit:
            push(session, self.config, self.write_branch(session), commit, self.author(session))

    def author(self, session: Session) -> str | None:
        """Whose commits are made: of who is configured for Dolt, else of the task's user."""
        task = self._find_task()
        user = format_author(task.user, f"{task.user}@localhost") if task is not None else None
        return session.author() or user

    def write_branch(self, session: Session) -> str:
        """The branch that writes go to.

        Raises:
            UnpinnedError: A rerun may not write this database.
        """
        if self._rerun is not None:
            return self._rerun.branch(session)
        return self.pin(session).branch or session.default_branch()

    def recorded(self, session: Session, key: str) -> str | None:
        """In a replay the commit at which a read of the configuration's database is to be served, where one was."""
        if self._rerun is None:
            return None
        sent, pin = self._rerun.pin(session), self.pin(session)
        return self._rerun.read(session, key, pin.commit if sent is not None and sent.branch is not None else None)

    def recorded_ends(self, session: Session, table: str) -> tuple[str, str] | None:
        """In a replay the commits between which a `diff` of a table is to be served, where one was recorded."""
        if self._rerun is None:
            return None
        sent, head = self._rerun.pin(session), None
        if sent is not None and sent.branch is not None:
            # It may be a database that is not the configuration's, which an audit names.
            head = self.pin(session).commit if self.config is not None else session.branch_head(sent.branch)
        return self._rerun.ends(session, table, head)

    def moved(self, session: Session, branch: str) -> str:
        """The commit that a branch stands for: in a rerun the configuration's own is where the pins send it."""
        return self.pin(session).commit if self._is_sent(session, branch) else session.branch_head(branch)

    def resolved(self, session: Session, ref: str) -> str:
        """The commit that a ref stands for, as `moved` has it for a branch; `~n` and `^` count from there."""
        name, steps = name_and_steps(ref)
        branch = session.default_branch() if name == "HEAD" else name
        if self._is_sent(session, branch):
            return session.resolve(self.pin(session).commit + steps)
        return session.resolve(ref)

    def _is_sent(self, session: Session, branch: str) -> bool:
        """Whether a branch is the configuration's, in a rerun whose pins send it elsewhere."""
        if self._rerun is None or self._rerun.pin(session) is None:
            return False
        config = self.config or DoltConfig(str(session.database.location))
        return branch == (config.branch or session.default_branch())

    def _seen(self, session: Session, ref: str, theirs: str | None = None) -> str:
        """The commit that a ref stands for; where it is a branch that a failed attempt wrote, what that one saw.

        Args:
            session: With the database.
            ref: The ref.
            theirs: Where a remote has its branch, the head there.
        """
        name, steps = name_and_steps(ref)
        is_branch = theirs is not None or name in session.branches()
        failed = self._failed_attempts(session, theirs or name) if is_branch else ()
        # So this attempt does the same from the same.
        return session.resolve((f"{failed[-1]}~1" if failed else theirs or name) + steps)

    def undoes(self) -> bool:
        """Whether there is something of a failed attempt to take back."""
        return self._pin is not None and bool(self._pin.undo)

    def pinned_config(self, session: Session) -> DatabaseConfig:
        """The configuration as the record keeps it."""
        config = self.config or DoltConfig(str(session.database.location))
        pin = self.pin(session)
        return config.pinned(pin.branch, pin.commit)

    def _failed_attempts(self, session: Session, branch: str) -> tuple[str, ...]:
        """Commits on the branch by earlier attempts of the task that this attempt has not taken back yet."""
        task = self._find_task()
        if task is None or task.attempt == 0:
            return ()
        found = []
        for commit in session.commits_of_task(task.pathspec, branch):
            if commit.run is not None and commit.run.attempt >= task.attempt:
                break
            found.append(commit.hash)
        return tuple(found)
