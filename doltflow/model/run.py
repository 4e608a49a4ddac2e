"""A run as far as both records know it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from doltflow.model.access import Access, TaskRecord

Status = Literal["successful", "failed", "running", "unknown"]


@dataclass(frozen=True, slots=True)
class NotRead:
    """What stands for a parameter's value that was not read.

    Attributes:
        why: One sentence that names the run and the artifact.
        key: What is the same for the same value.
        is_damaged: Whether it is damaged or gone; else it is no plain data.
    """

    why: str = field(compare=False)
    key: str
    is_damaged: bool = False

    def __repr__(self) -> str:
        return "not read: it is damaged or gone" if self.is_damaged else "not read: it is no plain value"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a flow.

    Attributes:
        flow, run_id: Its name.
        status: `unknown` where only commits tell of it.
        started, finished: Aware, in UTC; where known.
        user: Who ran it.
        parameters: By variable name, as Metaflow evaluated them, `NotRead` for what is no plain value; empty where only
            commits tell of it.
        accesses: Every read and write of its tasks, oldest first.
        tasks: What is known of the code and environment of its tasks.
        tags: Metaflow's user tags.
        rerun_of: `{"pathspec", "kind"}` where it is a rerun.
        edges: Pairs of pathspecs of tasks, a task and one that came next, where known.
    """

    flow: str
    run_id: str
    status: Status = "unknown"
    started: datetime | None = None
    finished: datetime | None = None
    user: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict, hash=False)
    accesses: tuple[Access, ...] = ()
    tasks: tuple[TaskRecord, ...] = ()
    tags: tuple[str, ...] = ()
    rerun_of: dict[str, Any] | None = field(default=None, hash=False)
    edges: tuple[tuple[str, str], ...] = ()

    @property
    def pathspec(self) -> str:
        """`Flow/run_id`."""
        return f"{self.flow}/{self.run_id}"


def rerun_of(tags: Iterable[str]) -> dict[str, Any] | None:
    """What a run is a rerun of, as its tags tell; None where it is none."""
    for tag in sorted(tags):
        for kind in ("replay", "backtest"):
            if tag.startswith(f"doltflow:{kind}-of="):
                return {"pathspec": tag.partition("=")[2], "kind": kind}
    return None
