"""Metaflow's name of a run, a step or a task."""

import re
from dataclasses import dataclass
from typing import Self

_PART = re.compile(r"[^/\s]+")
_LATEST = re.compile(r"latest(?:~(\d{0,9}))?")


@dataclass(frozen=True, slots=True, order=True)
class Pathspec:
    """`Flow/run_id`, `Flow/run_id/step` or `Flow/run_id/step/task_id`."""

    flow: str
    run_id: str
    step: str | None = None
    task_id: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The pathspec that `text` spells, or None where it spells none."""
        parts = text.split("/")
        if not 2 <= len(parts) <= 4 or not all(_PART.fullmatch(part) for part in parts):
            return None
        return cls(*parts)

    @property
    def run(self) -> str:
        """`Flow/run_id`."""
        return f"{self.flow}/{self.run_id}"

    @property
    def back(self) -> int | None:
        """How many runs before the newest one `Flow/latest`, `Flow/latest~` or `Flow/latest~2` means; else None."""
        match = _LATEST.fullmatch(self.run_id)
        if match is None:
            return None
        return 0 if match[1] is None else int(match[1] or 1)

    def __str__(self) -> str:
        return "/".join(part for part in (self.flow, self.run_id, self.step, self.task_id) if part is not None)

    def zoomed(self, zoom: str) -> "Pathspec":
        """This pathspec cut to `run`, `step` or `task`; a shorter one stays as it is."""
        if zoom == "run":
            return Pathspec(self.flow, self.run_id)
        if zoom == "step":
            return Pathspec(self.flow, self.run_id, self.step)
        return self
