"""A column of a table, as Dolt declares it."""

import re
from dataclasses import dataclass

_COLUMN_TYPE = re.compile(r"(\w+)(?:\((.*)\))?(.*)", re.DOTALL)
_WORDS = re.compile(r"'(?:[^']|'')*'|[^'\s]+|\s+")
_VALUE = re.compile(r"'((?:[^']|'')*)'")
_COLLATED = re.compile(r"(?: CHARACTER SET \w+)?(?: COLLATE \w+)?$")
_SYNONYMS = {
    "bool": "tinyint(1)",
    "boolean": "tinyint(1)",
    "integer": "int",
    "dec": "decimal",
    "numeric": "decimal",
    "fixed": "decimal",
    "real": "double",
}
# What Dolt adds where a type has no arguments.
_DEFAULTS = {"decimal": "10,0", "char": "1", "binary": "1", "bit": "1", "time": "6"}
INTEGERS = ("tinyint", "smallint", "mediumint", "int", "bigint")
TEXTS = ("varchar", "char", "tinytext", "text", "mediumtext", "longtext")
BYTES = ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob")
_WITHOUT_WIDTH = (*INTEGERS, "year")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        name: Its name.
        type: The SQL type as Dolt spells it, without character set and collation: `decimal(38,10)`.
        nullable: Whether it may hold NULL.
        key: Its place in the primary key from 0, or None.
        default: Whether it has a default, or makes its own value.
        rest: What stands behind the type in its definition, from a blank on: ` NOT NULL DEFAULT '5'`.
        indexed: Whether it is part of an index, the primary key included.
        unique: Whether it is part of a unique index other than the primary key.
        collation: How its texts are compared, where it is known.
    """

    name: str
    type: str
    nullable: bool = True
    key: int | None = None
    default: bool = False
    rest: str = ""
    indexed: bool = False
    unique: bool = False
    collation: str | None = None

    @property
    def base(self) -> str:
        """The type's name without its arguments, in lower case."""
        match = _COLUMN_TYPE.match(self.type)
        return match[1].lower() if match else self.type.lower()

    @property
    def arguments(self) -> str:
        """What stands between the type's brackets."""
        match = _COLUMN_TYPE.match(self.type)
        return (match[2] or "") if match else ""

    @property
    def unsigned(self) -> bool:
        """Whether it is an unsigned number."""
        match = _COLUMN_TYPE.match(self.type)
        return match is not None and "unsigned" in match[3].lower()

    @property
    def boolean(self) -> bool:
        """Whether it was declared BOOLEAN, which Dolt keeps as `tinyint(1)`."""
        return self.type.lower() == "tinyint(1)"

    @property
    def generated(self) -> bool:
        """Whether its values are computed from other columns."""
        return self.rest.upper().lstrip().startswith("GENERATED ALWAYS")

    @property
    def virtual(self) -> bool:
        """Whether its values are computed whenever it is read, and stored nowhere."""
        return self.generated and " STORED" not in self.rest.upper().rpartition(")")[2]

    @property
    def may_be_text(self) -> bool:
        """Whether it could become a TEXT or BLOB, which can neither be indexed whole nor have a default."""
        return not self.indexed and not self.default

    @property
    def folds(self) -> bool:
        """Whether its collation takes some texts for equal that differ, such as `a` and `A`."""
        return (
            self.base in (*TEXTS, "enum", "set")
            and self.collation is not None
            and not self.collation.endswith(("_bin", "binary"))
        )

    @property
    def digits(self) -> tuple[int, int]:
        """Precision and scale of a DECIMAL."""
        precision, _, scale = self.arguments.partition(",")
        return int(precision or 10), int(scale or 0)

    @property
    def size(self) -> int:
        """The one number between the type's brackets, 0 without it."""
        return int(self.arguments) if self.arguments.isdigit() else 0

    @property
    def values(self) -> list[str]:
        """The values of an ENUM or SET."""
        return [value.replace("''", "'") for value in _VALUE.findall(self.arguments)]


def spelled(kind: str) -> tuple[str, str]:
    """A type that a user wrote, as Dolt spells it; and what stands behind it, such as a collation."""
    words = _WORDS.findall(kind.strip())
    text = "".join(word if word[0] == "'" else " " if word.isspace() else word.lower() for word in words)
    text = re.sub(r"^double precision\b", "double", text)
    text = re.sub(r"^(\w+) \(", r"\1(", text)
    match = re.match(r"(\w+)(\((?:'(?:[^']|'')*'|[^')])*\))?((?: (?:un)?signed)?)(.*)", text, re.DOTALL)
    if match is None:
        return text, ""
    word, brackets, sign, rest = match[1], match[2] or "", match[3], match[4]
    name, _, width = _SYNONYMS.get(word, word).partition("(")
    arguments = width.rstrip(")") or brackets[1:-1].strip()
    if name in _WITHOUT_WIDTH and not (name == "tinyint" and arguments == "1"):
        arguments = ""
    arguments = arguments or _DEFAULTS.get(name, "")
    if name in ("enum", "set"):
        arguments = ",".join(f"'{value}'" for value in _VALUE.findall(arguments))
    elif name == "decimal":
        arguments = ",".join(part.strip() for part in (arguments if "," in arguments else arguments + ",0").split(","))
    full = f"{name}({arguments})" if arguments else name
    return full + (" unsigned" if sign.strip() == "unsigned" else ""), rest


def uncollated(type_: str) -> str:
    """A type without its character set and collation."""
    return _COLLATED.sub("", type_)
