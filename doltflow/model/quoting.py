"""Names and texts as SQL spells them."""


def quote(name: str) -> str:
    """An identifier in backticks."""
    return "`" + name.replace("`", "``") + "`"


def literal(text: str) -> str:
    """A string literal in single quotes, under MySQL's default SQL mode."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
