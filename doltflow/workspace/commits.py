"""The commits of one database: asked for one by one while they are few, read all at once where they are many."""

from collections.abc import Iterable

from doltflow.errors import RefNotFoundError
from doltflow.model.commit import Commit
from doltflow.sources.dolt import HASH, Session
from doltflow.workspace.index import Index, Made
from doltflow.workspace.versions import TableHistory

FEW_COMMITS = 300
"""How many commits are looked up singly, a millisecond each, before the whole log is read instead."""
FEW_VERSIONS = 30
"""How many versions of a table are looked up singly, before its whole history is read instead."""


class Commits:
    """What is known of the commits of a database. What was asked once is not asked again."""

    def __init__(self, session: Session, index: Index) -> None:
        self._session = session
        self._index = index
        self._found: dict[str, Commit | None] = {}
        self._whole: dict[str, Commit] | None = None
        self._listed: list[Made] | None = None
        self._of_run: dict[str, list[Made]] = {}
        self._is_current = False
        self._asked: dict[str, int] = {}
        self._histories: dict[str, TableHistory] = {}
        self._made_hashes: dict[str, frozenset[str] | None] = {}
        self._new_changes: list[tuple[str, str, str]] = []

    def close(self) -> None:
        """Keeps what was found out for the next time."""
        if self._new_changes:
            self._index.remember(self._new_changes)
        self._index.close()

    def repair(self) -> None:
        """Forgets what the index holds, and finds it out again."""
        self._index.clear()
        self._new_changes.clear()
        self.refresh()
        self._bring_up_to_date()

    def refresh(self) -> None:
        """Looks again which commits there are, when it is next asked."""
        self._whole = None
        self._listed = None
        self._of_run.clear()
        self._histories.clear()
        self._made_hashes.clear()
        self._is_current = False
        self._found = {hash_: commit for hash_, commit in self._found.items() if commit is not None}

    def all(self) -> dict[str, Commit]:
        """The commits of all branches by hash, newest first."""
        if self._whole is None:
            self._whole = {commit.hash: commit for commit in self._session.log()}
        return self._whole

    def find(self, hash_: str) -> Commit | None:
        """A commit, also one that no branch reaches; None where there is none."""
        if self._whole is not None and hash_ in self._whole:
            return self._whole[hash_]
        if hash_ not in self._found:
            if self._whole is None and len(self._found) >= FEW_COMMITS and hash_ in self.all():
                return self.all()[hash_]
            self._found[hash_] = self._look_up(hash_)
        return self._found[hash_]

    def _look_up(self, hash_: str) -> Commit | None:
        if not HASH.fullmatch(hash_):
            return None
        try:
            return self._session.commit(hash_)
        except RefNotFoundError:
            return None

    # Commits of runs

    def made(self) -> list[Made]:
        """The commits that runs made, newest first."""
        self._bring_up_to_date()
        if self._listed is None:
            listed = self._index.made()
            self._listed = listed if self._index.is_open else self._scan()
        return self._listed

    def of_run(self, run: str) -> list[Commit]:
        """The commits that a run, `Flow/run_id`, made, newest first."""
        self._bring_up_to_date()
        made = self._index.of_run(run) if self._listed is None else None
        if made is None or not self._index.is_open:
            made = self._by_run().get(run, [])
        return [commit for commit in (self.find(one.hash) for one in made) if commit is not None]

    def _by_run(self) -> dict[str, list[Made]]:
        if not self._of_run:
            for one in self.made():
                self._of_run.setdefault(one.run, []).append(one)
        return self._of_run

    def _scan(self, heads: Iterable[str] | None = None, known: Iterable[str] = ()) -> list[Made]:
        asked = set(self._session.branches().values()) if heads is None else set(heads)
        return [Made(*row) for row in self._session.made_by_runs(sorted(asked), sorted(known))]

    def has_runs(self) -> bool:
        """Whether a run made any of the commits."""
        return bool(self.made())

    def _bring_up_to_date(self) -> None:
        """Lists the commits of runs that were made since the index was last asked; all of them where it is no use."""
        if self._is_current:
            return
        heads, tips = set(self._session.branches().values()), self._index.tips()
        if tips != heads:
            self._advance(tips, heads)
        self._is_current = True

    def _advance(self, tips: frozenset[str], heads: set[str]) -> None:
        left = tips - heads
        anew = bool(left) and not self._session.reaches(sorted(heads), sorted(left))
        known = frozenset() if anew else tips
        made = self._scan(heads - known, known)
        if not self._index.advance(tips, heads, made, anew=anew):
            self._listed = self._scan(heads) if known else made

    # Versions of tables

    def last_change(self, table: str, at: str) -> str:
        """The hash of the commit that made a table what it is at a commit.

        Raises:
            TableNotFoundError: The table is not there at that commit.
        """
        known = self._index.change(table, at)
        if known is not None:
            return known
        self._asked[table] = self._asked.get(table, 0) + 1
        history = self._history(table) if self._asked[table] > FEW_VERSIONS else None
        found = history.last_change(at) if history is not None else None
        if found is None:
            found = self._session.last_change(table, at)
        self._new_changes.append((table, at, found))
        return found

    def _history(self, table: str) -> TableHistory:
        if table not in self._histories:
            self._histories[table] = TableHistory(self._session, table, self.all())
        return self._histories[table]

    def newest_by_run(self, table: str, before: Iterable[str]) -> str | None:
        """The newest commit by a run that changed a table, at one of some commits or before.

        What was before the table was dropped is another table's past.
        """
        if not self.has_runs():  # As in most databases of sources.
            return None
        by_run = self._made_of(table)
        for at in before if by_run else ():
            listed = self._session.changes(table, at)
            number = next((number for number, hash_ in enumerate(listed) if hash_ in by_run), None)
            if number is None:
                continue
            # Where it was dropped since, another branch that was merged may have kept it.
            was_dropped = self._session.lacking(table, at, listed[: number + 1])
            found = self._on_a_way_with(table, at, listed, by_run) if was_dropped else listed[number]
            if found is not None:
                return found
        return None

    def newest_drop(self, table: str, at: str) -> str | None:
        """The newest commit, at one or before, that dropped a table; None where no run had ever changed it."""
        listed = self._session.changes(table, at)
        if self._made_of(table).isdisjoint(listed):
            return None
        dropped = self._session.lacking(table, at, listed)
        return next((hash_ for hash_ in listed if hash_ in dropped), None)

    def _on_a_way_with(self, table: str, at: str, changes: list[str], wanted: frozenset[str]) -> str | None:
        """The first listed of some commits that one gets to, from one backwards, by commits that have a table."""
        touching, seen, reached = frozenset(changes), set(), set()
        waiting = [at] if self._session.table_hash(table, at) is not None else []
        while waiting:
            hash_ = waiting.pop()
            if hash_ in seen:
                continue
            seen.add(hash_)
            if hash_ in wanted and hash_ in touching:
                reached.add(hash_)  # What was before is older.
                continue
            commit = self.find(hash_)
            parents = commit.parents if commit is not None else ()
            is_change = hash_ in touching
            waiting += [one for one in parents if not is_change or self._session.table_hash(table, one) is not None]
        return next((hash_ for hash_ in changes if hash_ in reached), None)

    def _made_of(self, table: str) -> frozenset[str]:
        """The commits of runs; only those that changed a table, once it is asked for again: mostly there are none."""
        if table not in self._made_hashes:
            self._made_hashes[table] = None
            return frozenset(one.hash for one in self.made())
        found = self._made_hashes[table]
        if found is None:
            touching = self._session.touching(table)
            found = self._made_hashes[table] = frozenset(one.hash for one in self.made()).intersection(touching)
        return found
