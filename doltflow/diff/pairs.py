"""Which tables of two ends are set against each other."""

from collections.abc import Sequence

from doltflow.compare.versions import Version
from doltflow.errors import NothingInCommonError, TableNotFoundError, nearest
from doltflow.workspace import Workspace
from doltflow.workspace.ends import End, Output

Pair = tuple[Version | None, Version | None]


def pairs_of(workspace: Workspace, a: End, b: End) -> list[Pair]:
    """The tables of two ends, each set against the same of the other one."""
    if a.is_snapshot and b.is_snapshot:
        return _of_snapshots(workspace, a, b)
    keys = _keys(a, b)
    pairs = [(_at(workspace, a, *one), _at(workspace, b, *other)) for one, other in keys]
    if not any(before is not None and after is not None for before, after in pairs):
        raise _nothing_in_common(a, b)
    return pairs


def _keys(a: End, b: End) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """By which name each table is to be found at both ends, in one database or in two of different names."""
    ours, theirs = ([(o.database, o.table) for o in end.outputs] for end in (a, b))
    # A run says which tables are meant, and a database or branch has them; of two that wrote, both say so.
    if b.kind == "run" and a.kind != "run":
        ours = []
    if a.kind == "run" and b.kind != "run":
        theirs = []
    folded = {(database, table.casefold()): (database, table) for database, table in theirs}
    found = []
    for key in ours:
        same = folded.pop((key[0], key[1].casefold()), None)
        if same is None:
            named = [other for other in folded if other[1] == key[1].casefold()]
            same = folded.pop(named[0]) if len(named) == 1 else None
        found.append((key, same or _elsewhere(b, key)))
    return found + [(_elsewhere(a, key), key) for key in folded.values()]


def _elsewhere(end: End, key: tuple[str, str]) -> tuple[str, str]:
    """The name of a table at an end that did not write it: in the same database, else in the only one there."""
    heads = dict(end.heads)
    return key if key[0] in heads or len(heads) != 1 else (next(iter(heads)), key[1])


def _at(workspace: Workspace, end: End, database: str, table: str) -> Version | None:
    written = end.output(database, table)
    if written is not None:
        return _version(workspace, written)
    commit = dict(end.heads).get(database)
    return _in_commit(workspace, database, table, commit) if commit is not None else None


def _in_commit(workspace: Workspace, database: str, table: str, commit: str) -> Version | None:
    spelled = workspace.spelled(database, table, commit)
    return _version(workspace, Output(database, spelled, commit)) if spelled is not None else None


def _version(workspace: Workspace, of: Output) -> Version:
    return Version(of.database, workspace.locations[of.database], of.table, of.commit, of.run)


def _of_snapshots(workspace: Workspace, a: End, b: End) -> list[Pair]:
    """The tables of databases that both ends have, or of two that are called differently."""
    ours, theirs = dict(a.heads), dict(b.heads)
    places = [(name, name) for name in ours if name in theirs]
    if not places and len(ours) == len(theirs) == 1:
        places = [(next(iter(ours)), next(iter(theirs)))]
    pairs = [pair for one, other in places for pair in _of_commits(workspace, (one, ours[one]), (other, theirs[other]))]
    is_one = all(one == other for one, other in places)
    if not places or (not is_one and not any(before and after for before, after in pairs)):
        raise _nothing_in_common(a, b)
    if not pairs:
        raise NothingInCommonError(f"Neither {a.name} nor {b.name} has a table.")
    return pairs


def _of_commits(workspace: Workspace, a: tuple[str, str], b: tuple[str, str]) -> list[Pair]:
    """The tables of two databases, or of one at two commits."""
    (one, before), (other, after) = a, b
    names = {table.casefold(): table for table in workspace.tables(one, before)}
    later = {table.casefold(): table for table in workspace.tables(other, after)}
    renamed = workspace.session(one).renamed_tables(before, after) if one == other else {}
    for new, old in renamed.items():
        if old.casefold() not in later and new.casefold() in later and new.casefold() not in names:
            names[new.casefold()] = names.pop(old.casefold(), old)
    return [
        (
            _in_commit(workspace, one, names[key], before) if key in names else None,
            _in_commit(workspace, other, later[key], after) if key in later else None,
        )
        for key in sorted(names.keys() | later.keys())
    ]


def _nothing_in_common(a: End, b: End) -> NothingInCommonError:
    def had(end: End) -> str:
        if end.outputs:
            return f"{end.name} wrote {', '.join(f'`{o.database}/{o.table}`' for o in end.outputs)}"
        return f"{end.name} is of {', '.join(f'`{database}`' for database, _ in end.heads)}"

    hint = "`doltflow runs` lists what each run wrote." if a.outputs or b.outputs else ""
    return NothingInCommonError(f"{a.name} and {b.name} have no table in common: {had(a)}, {had(b)}.", hint)


def chosen(pairs: list[Pair], names: Sequence[str]) -> list[Pair]:
    """The pairs of tables of these names; all without names."""
    if not names:
        return pairs
    listed = [(pair, {f"{v.database}/{v.table}" for v in pair if v is not None}) for pair in pairs]
    wanted: dict[int, Pair] = {}
    for name in names:
        folded = name.casefold()
        found = [
            (number, pair)
            for number, (pair, full) in enumerate(listed)
            if any(folded in (one.casefold(), one.partition("/")[2].casefold()) for one in full)
        ]
        if not found:
            known = {part for _, full in listed for one in full for part in (one, one.partition("/")[2])}
            raise TableNotFoundError(f"There is no table `{name}` among those that are compared.", nearest(name, known))
        wanted |= dict(found)
    return [wanted[number] for number in sorted(wanted)]
