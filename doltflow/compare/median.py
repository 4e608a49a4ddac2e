"""The median of any number of numbers, exact, of which only some are held at a time."""

import math
import struct
import tempfile
from collections.abc import Iterator
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc

HELD = 250_000
"""So many numbers are held in memory; more are kept in a temporary file."""


class Median:
    """Takes numbers piece by piece; doubles, none of them NULL."""

    def __init__(self) -> None:
        self.count = 0
        self._pieces: list[pa.Array] = []
        self._held = 0
        self._file: IO[bytes] | None = None

    def add(self, numbers: pa.Array) -> None:
        """Takes more numbers."""
        self.count += len(numbers)
        self._held += len(numbers)
        self._pieces.append(numbers)
        if self._held > HELD:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="doltflow-median-")  # noqa: SIM115
            for piece in self._pieces:
                self._file.write(memoryview(piece.buffers()[1])[piece.offset * 8 : (piece.offset + len(piece)) * 8])
            self._pieces, self._held = [], 0

    def value(self) -> float | None:
        """The median; None of no numbers. There is nothing to ask for afterwards."""
        if not self.count:
            return None
        try:
            middle = self.count // 2
            high = self._at(middle)
            if self.count % 2:
                return high
            low = self._at(middle - 1)
            # The sum of the greatest numbers is out of range, half of the smallest one too.
            return (low + high) / 2 if math.isfinite(low + high) else low / 2 + high / 2
        finally:
            if self._file is not None:
                self._file.close()

    def _at(self, rank: int) -> float:
        """The number that has so many before it, found between two bounds that close in on it."""
        extremes = [pc.min_max(piece) for piece in self._all()]
        low, high = min(e["min"].as_py() for e in extremes), max(e["max"].as_py() for e in extremes)
        below, inside = 0, self.count
        while inside > HELD and low < high:
            middle = _double((_rank(low) + _rank(high)) // 2)
            upto = sum(self._count(piece, low, middle) for piece in self._all())
            if rank - below < upto:
                high, inside = middle, upto
            else:
                below, inside = below + upto, inside - upto
                low = _double(_rank(middle) + 1)
        if low >= high:
            return float(low)
        kept = pa.concat_arrays([pc.filter(piece, _between(piece, low, high)) for piece in self._all()])
        return float(kept.take(pc.sort_indices(kept))[rank - below].as_py())

    def _all(self) -> Iterator[pa.Array]:
        if self._file is not None:
            self._file.seek(0)
            while data := self._file.read(8 * HELD):
                yield pa.Array.from_buffers(pa.float64(), len(data) // 8, [None, pa.py_buffer(data)])
        yield from (piece for piece in self._pieces if len(piece))

    @staticmethod
    def _count(piece: pa.Array, low: float, high: float) -> int:
        return int(pc.sum(_between(piece, low, high)).as_py() or 0)


def _between(piece: pa.Array, low: float, high: float) -> pa.Array:
    return pc.and_(pc.greater_equal(piece, low), pc.less_equal(piece, high))


def _rank(number: float) -> int:
    """The place of a double among all doubles, 0 for both zeros: between two of them half of their places is found."""
    bits = int(struct.unpack("<q", struct.pack("<d", abs(number)))[0])
    return -bits if number < 0 else bits


def _double(rank: int) -> float:
    number = float(struct.unpack("<d", struct.pack("<q", abs(rank)))[0])
    return -number if rank < 0 else number
