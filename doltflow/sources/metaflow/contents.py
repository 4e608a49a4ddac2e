"""The contents of a flow's datastore, asked for together: one by one each would wait for a store that is far away."""

import gzip
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO, TypeVar

from doltflow.sources.metaflow.plain import plain

T = TypeVar("T")
_TOGETHER = 10
"""So many at a time Metaflow's own stores load in this process; for more they start others, which takes a second."""
_THREADS = 8
_LARGE = 1 << 20
_LARGEST = 256 << 20
"""So many bytes a content may unpack to: a file of a few kilobytes can unpack to more than a machine's memory."""


class TooLarge(Exception):
    """A content unpacks to more than is read."""


class Contents:
    """What is kept in a flow's data under keys. What was loaded stays, unless it is large.

    Attributes:
        root: Of the datastore.
        is_local: Whether it is on this machine, where nothing is won by asking for much together.
        included: The contents of files that parameters included, by address.
    """

    def __init__(self, store: Any) -> None:
        self.root = str(store.datastore_root)
        self.is_local = store.TYPE == "local"
        self.included: dict[str, Any] = {}
        self._data = store.ca_store
        self._data._unpack_v1 = _unpacked
        self._blobs: dict[str, bytes] = {}
        self._errors: dict[str, Exception] = {}

    def fetch(self, keys: Iterable[str]) -> None:
        """Loads what will be asked for.

        Raises:
            MetaflowException: The store does not answer.
        """
        wanted = [key for key in dict.fromkeys(keys) if key not in self._blobs and key not in self._errors]
        if wanted and not self.is_local:
            self._blobs.update(in_slices(wanted, self._load))

    def get(self, key: str) -> bytes:
        """The content under a key.

        Raises:
            Exception: It is not there or damaged, or the store does not answer: whatever Metaflow raises.
        """
        if key not in self._blobs:
            loaded = dict(self._load([key]))
            if key in self._errors:
                raise self._errors[key]
            if len(loaded[key]) > _LARGE:
                return loaded[key]
            self._blobs.update(loaded)
        return self._blobs[key]

    def plain(self, key: str) -> Any:
        """The plain data under a key, see `plain`."""
        return plain(self.get(key))

    def _load(self, keys: Sequence[str]) -> list[tuple[str, bytes]]:
        try:
            return [(str(key), bytes(blob)) for key, blob in self._data.load_blobs(keys)]
        except Exception as error:
            if len(keys) == 1:
                self._keep_error(keys[0], error)
                return []
        return [pair for key in keys for pair in self._load([key])]

    def _keep_error(self, key: str, error: Exception) -> None:
        """Keeps what is wrong with one content; a store that does not answer is another thing."""
        from metaflow.datastore.exceptions import DataException
        from metaflow.exception import MetaflowException

        if isinstance(error, MetaflowException) and not isinstance(error, DataException):
            raise error
        # Where there is nothing, Metaflow opens a file without a name.
        if isinstance(error, TypeError):
            error = FileNotFoundError("it is not in the store")
        elif isinstance(error.__context__, TooLarge):
            error = error.__context__
        self._errors[key] = error


def _unpacked(file: BinaryIO) -> bytes:
    """What Metaflow does to unpack a content, which has no bound."""
    parts, size = [], 0
    with gzip.GzipFile(fileobj=file, mode="rb") as packed:
        while part := packed.read(_LARGE):
            size += len(part)
            if size > _LARGEST:
                raise TooLarge(f"it unpacks to more than {_LARGEST >> 20} MiB")
            parts.append(part)
    return b"".join(parts)


def in_slices(items: Sequence[str], ask: Callable[[Sequence[str]], list[T]]) -> list[T]:
    """What a question about many things gives, asked about a few of them at a time, several times at once."""
    size = max(1, min(_TOGETHER, -(-len(items) // _THREADS)))
    slices = [items[at : at + size] for at in range(0, len(items), size)]
    found = ask(slices[0]) if slices else []  # Alone: a store makes its connection when it is first asked.
    if len(slices) > 1:
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="doltflow-store") as pool:
            for more in pool.map(ask, slices[1:]):
                found += more
    return found
