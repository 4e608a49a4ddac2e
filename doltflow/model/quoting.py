"""Names and texts as SQL spells them."""


def quote(name: str) -> str:
    """An identifier in backticks."""
    return "`" + name.replace("`", "``") + "`"


def column_name(table: str, column: str) -> str:
    """`table.column`, in backticks where a dot or backtick of theirs could be misread."""
    return ".".join(quote(name) if set(name) & {".", "`"} else name for name in (table, column))


def literal(text: str) -> str:
    """A string literal in single quotes, under MySQL's default SQL mode."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
