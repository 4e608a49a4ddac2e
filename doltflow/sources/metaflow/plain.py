"""Artifacts read as plain data: nothing that stands in one is imported, called or made, whoever wrote it.

Metaflow keeps artifacts as pickles, and Python's own way to read a pickle runs whatever code it names. Here a pickle
may hold dictionaries, lists, tuples, sets, texts, bytes, numbers, truth values and None. Metaflow's own three classes
that stand in parameters and foreaches are read as what they hold.
"""

import io
import pickle
import pickletools
from collections.abc import Callable, Iterable, Sized
from typing import Any, ClassVar, NoReturn

_MOST = 1_000_000
"""So many values, or as many as it has bytes: a few bytes can name a value that is a billion large."""
_DEEPEST = 200
_WIDEST = 10
"""So many parts has a foreach at most; today it has five."""


class NotPlain(Exception):
    """A pickle is more than plain data; the message says what it has."""


class _StandIn:
    """What a class is replaced by. That it has the method keeps a pickle from setting attributes, of the class too."""

    __slots__ = ()

    def __setstate__(self, state: object) -> NoReturn:
        raise NotPlain("a state for what has none")


class Frame(_StandIn, tuple[Any, ...]):
    """A foreach that a task stands in: the step, the variable, the number of splits, the index and the value."""

    __slots__ = ()

    def __new__(cls, *parts: object) -> "Frame":
        """The frame of these parts."""
        if len(parts) > _WIDEST:
            raise NotPlain("a foreach of more than it has")
        return tuple.__new__(cls, parts)

    @property
    def place(self) -> tuple[str, int]:
        """The step that is done for each, and the index."""
        step, index = (*self, None, None, None, None)[0:4:3]
        return str(step), index if isinstance(index, int) else 0


class Included(_StandIn):
    """A file that a parameter included: where its content is.

    Attributes:
        descriptor: As Metaflow wrote it.
    """

    __slots__ = ("descriptor",)

    def __new__(cls) -> "Included":
        """One that is yet to be told where."""
        made = object.__new__(cls)
        made.descriptor = {}
        return made

    def __setstate__(self, state: object) -> None:  # type: ignore[override]
        """Takes Metaflow's own state."""
        descriptor = state.get("_descriptor") if isinstance(state, dict) else None
        if not isinstance(descriptor, dict):
            raise NotPlain("a file without its place")
        self.descriptor: dict[Any, Any] = descriptor


class _Config(_StandIn):
    def __new__(cls, data: object) -> Any:
        if not isinstance(data, dict):
            raise NotPlain("a config that is no dictionary")
        return data


class _Bytes(_StandIn):
    """How old pickles say bytes."""

    def __new__(cls, text: object = "", encoding: object = "latin1") -> Any:
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise NotPlain("bytes that are no text")
        return text.encode("latin-1")


class _Copying(_StandIn):
    """What makes a value out of another one, and is a copy: a few bytes could ask for that again and again."""

    __slots__ = ("_make", "_spend", "_spend_keys")

    def __init__(
        self,
        make: Callable[..., Any],
        spend: Callable[[int], None],
        spend_keys: Callable[[Iterable[object]], None],
    ) -> None:
        self._make, self._spend, self._spend_keys = make, spend, spend_keys

    def __call__(self, *parts: object) -> Any:
        for part in parts:
            if isinstance(part, Sized):
                self._spend(len(part))
            if isinstance(part, Iterable):
                self._spend_keys(part)
        return self._make(*parts)


class TypeName(_StandIn):
    """The name of one of Python's types, which cannot be called. The first integration recorded one for no commit."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


class _Plain:
    """What a reader of pickles finds in place of foreign code."""

    _KNOWN: ClassVar[dict[tuple[str, str], Any]] = {
        ("__main__", "ForeachFrame"): Frame,
        ("metaflow.tuple_util", "ForeachFrame"): Frame,
        ("metaflow.task", "ForeachFrame"): Frame,
        ("metaflow.includefile", "IncludedFile"): Included,
        ("metaflow.user_configs.config_parameters", "ConfigValue"): _Config,
    }
    _COPYING: ClassVar[dict[tuple[str, str], Callable[..., Any]]] = {
        ("_codecs", "encode"): _Bytes,
        ("builtins", "bytes"): _Bytes,
        ("builtins", "set"): set,
        ("builtins", "frozenset"): frozenset,
    }
    _TYPES: ClassVar[frozenset[str]] = frozenset(
        ("str", "unicode", "int", "long", "float", "bool", "dict", "list", "tuple")
    )

    def __init__(self, blob: bytes) -> None:
        super().__init__(io.BytesIO(blob))  # type: ignore[call-arg]
        self._room = max(_MOST, len(blob))

    def _spend(self, amount: int) -> None:
        self._room -= amount
        if self._room < 0:
            raise NotPlain("more values than it has room for")

    def _spend_keys(self, keys: Iterable[object]) -> None:
        """Weighs what becomes a key, where that matters."""

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a name of a module; never what has that name."""
        module = "builtins" if module == "__builtin__" else module
        found = self._KNOWN.get((module, name))
        if found is not None:
            return found
        if (module, name) in self._COPYING:
            return _Copying(self._COPYING[module, name], self._spend, self._spend_keys)
        if module == "builtins" and name in self._TYPES:
            return TypeName(name)
        raise NotPlain(f"`{module}.{name}`")

    def persistent_load(self, pid: object) -> NoReturn:
        """Nothing is kept elsewhere."""
        raise NotPlain("a reference to what is kept elsewhere")


class _Reader(_Plain, pickle.Unpickler):
    """Python's own reader, which is fast."""


class _TupleReader(_Plain, pickle._Unpickler):
    """Python's reader in Python, which sees each tuple before it becomes a key.

    The hash of a tuple is made anew of all that stands in it, each time, by calls of C in calls of C: that of a tuple
    in a tuple a million times ends the process, that of one that holds the one before it twice, thirty times, stops it.
    """

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(pickle._Unpickler.dispatch)
    stack: list[Any]

    def __init__(self, blob: bytes) -> None:
        super().__init__(blob)
        self._weights: dict[int, tuple[int, int, object]] = {}

    def _weigh(self, made: tuple[Any, ...]) -> tuple[int, int]:
        """How many levels of tuples a tuple has, and how many values; those in it are weighed already."""
        if (known := self._weights.get(id(made))) is not None:
            return known[:2]
        inner = [self._weigh(item) for item in made if isinstance(item, tuple)]
        levels, values = 1 + max((one[0] for one in inner), default=0), len(made) + sum(one[1] for one in inner)
        if levels > _DEEPEST:
            raise NotPlain(f"more than {_DEEPEST} levels of values in values")
        self._weights[id(made)] = levels, values, made  # While it is kept its id is its own.
        return levels, values

    def _spend_keys(self, keys: Iterable[object]) -> None:
        self._spend(sum(self._weigh(key)[1] for key in keys if isinstance(key, tuple)))


def _looking_at_keys(code: int, keys: Callable[[list[Any]], Iterable[object]]) -> Callable[[_TupleReader], None]:
    """What a code of pickles does, after a look at the keys that it finds on the stack."""
    load = _TupleReader.dispatch[code]

    def loaded(reader: _TupleReader) -> None:
        reader._spend_keys(keys(reader.stack))
        load(reader)

    return loaded


def _weighing(code: int) -> Callable[[_TupleReader], None]:
    """What a code of pickles does, and then a look at the tuple that it has made."""
    load = _TupleReader.dispatch[code]

    def loaded(reader: _TupleReader) -> None:
        load(reader)
        if isinstance(made := reader.stack[-1], tuple):
            reader._weigh(made)

    return loaded


_CALLS = frozenset(b"oi")
"""They call what stands for a class, with values that need not stand in a tuple."""
_MAKES_TUPLES = frozenset(b"t\x85\x86\x87") | _CALLS
_KEYS: dict[int, Callable[[list[Any]], Iterable[object]]] = {
    ord("s"): lambda stack: stack[-2:-1],
    ord("u"): lambda stack: stack[::2],
    ord("d"): lambda stack: stack[::2],
    0x90: lambda stack: stack,  # Into a set,
    0x91: lambda stack: stack,  # or as a frozen one.
}
_HASHES = frozenset((*_KEYS, ord("R"))) | _CALLS
_TupleReader.dispatch |= {code: _weighing(code) for code in _MAKES_TUPLES}
_TupleReader.dispatch |= {code: _looking_at_keys(code, keys) for code, keys in _KEYS.items()}


def plain(blob: bytes) -> Any:
    """The plain data that a pickle holds.

    Raises:
        NotPlain: It holds something else.
        Exception: It is no pickle, or is cut off; Python raises what it likes.
    """
    codes = _codes(blob)
    reader = _TupleReader if codes & _MAKES_TUPLES and codes & _HASHES else _Reader  # It takes twenty times as long.
    found = reader(blob).load()
    _check_size(found, max(_MOST, len(blob)))
    return found


def _codes(blob: bytes) -> set[int]:
    """The codes of a pickle.

    Raises:
        NotPlain: A value has a number that is higher than there can be values: Python makes room up to it.
        UnpicklingError: A value is cut off.
    """
    at, end, seen = 0, len(blob), set()
    while at < end:
        code = blob[at]
        at += 1
        size = _SIZES.get(code)
        if size is None:
            break  # No such code: there Python stops as well.
        seen.add(code)
        if size >= 0:
            if code == _LONG_BINPUT and int.from_bytes(blob[at : at + 4], "little") > end:
                raise NotPlain("a value with a number that is too high")
            at += size
        elif size == pickletools.UP_TO_NEWLINE:
            first = at
            for _ in range(2 if code in _TWO_LINES else 1):
                at = blob.find(b"\n", at) + 1
                if not at:
                    return seen  # Cut off.
            if code == _PUT and int(blob[first:at]) > end:
                raise NotPlain("a value with a number that is too high")
        else:
            width = _WIDTHS[size]
            at += width + int.from_bytes(blob[at : at + width], "little")
            if at > end:  # Python would first make room for it.
                raise pickle.UnpicklingError("pickle data was truncated")
    return seen


_SIZES = {
    ord(code.code): code.arg.n if code.arg is not None else 0 for code in pickletools.opcodes if code.name != "STOP"
}
"""How many bytes follow a code, or what says how many."""
_WIDTHS = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
_LONG_BINPUT, _PUT, _TWO_LINES = ord("r"), ord("p"), b"ci"


def _check_size(value: object, most: int) -> None:
    level: list[Any] = [value] if type(value) in _HOLDING else []
    for _ in range(_DEEPEST):
        inner: list[Any] = []
        for holding in level:
            held = [holding.descriptor] if isinstance(holding, Included) else holding
            most -= len(held)
            if most < 0:  # Before it is gone into: a list may stand in another one a thousand times.
                raise NotPlain("more values than it has room for")
            inner += [item for item in held if type(item) in _HOLDING]
            if type(held) is dict:
                inner += [item for item in held.values() if type(item) in _HOLDING]
        if not inner:
            return
        level = inner
    raise NotPlain(f"more than {_DEEPEST} levels of values in values")


_HOLDING = {dict, list, tuple, set, frozenset, Frame, Included}
