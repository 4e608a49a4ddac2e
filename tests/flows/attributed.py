"""Runs of `attributed_flow.py` with its code changed."""

from conftest import FLOWS
from flows.harness import World


def changed_script(here: World, changes: tuple[tuple[str, str], ...]) -> str:
    """The flow's file in a world, with texts in it replaced."""
    text = (FLOWS / "attributed_flow.py").read_text()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    script = here.folder / "attributed_flow.py"
    script.write_text(text)
    return str(script)


def run_with(here: World, changes: tuple[tuple[str, str], ...], *arguments: str) -> str:
    """A run of the flow with its code changed."""
    return here.run(changed_script(here, changes), *arguments).pathspec
