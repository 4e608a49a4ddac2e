"""What the artifacts of finished runs say of Dolt, kept in the user's cache folder. Nothing depends on it but speed.

Only successful runs are kept: what they say does not change any more.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

from doltflow.errors import RecordError
from doltflow.model.access import Access
from doltflow.model.artifact import Record, decode_artifact, encode_artifact
from doltflow.sources.metaflow.store import Store
from doltflow.workspace.cache import CacheFile, cache_file


class RunIndex(CacheFile):
    """The records of the runs of one Metaflow store."""

    VERSION = 1
    TABLES: ClassVar[dict[str, str]] = {"runs": "(run text primary key, record text not null) without rowid"}

    @classmethod
    def of_store(cls, store: Store) -> "RunIndex":
        """The index of a store: of the folder that it is in, or of the service that knows its runs."""
        return cls(cache_file("runs", store.folder or store.name))

    def records(self) -> Iterator[tuple[str, Record]]:
        """The runs, `Flow/run_id`, each with its own accesses and their configurations."""
        for run, text in self.rows("select run, record from runs"):
            try:
                yield str(run), decode_artifact(json.loads(text), tables_of=lambda query: None)
            except (RecordError, ValueError):  # It is read from the store again.
                continue

    def keep(self, found: Iterable[tuple[str, Sequence[Access], Record]]) -> None:
        """Keeps the own accesses of successful runs."""
        with self.writing() as raw:
            if raw is not None:
                rows = [
                    (run, json.dumps(encode_artifact(Record(tuple(own), record.configs, ()))))
                    for run, own, record in found
                ]
                raw.executemany("insert or replace into runs values (?, ?)", rows)
