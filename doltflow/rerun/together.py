"""Several backtests at the same time: only the flows themselves run beside each other."""

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from threading import Lock
from typing import Any, TypeVar

from doltflow.errors import DoltflowError
from doltflow.rerun.carrying import Job
from doltflow.rerun.run import Rerun

T = TypeVar("T")
Steps = Generator[Job, Rerun, T]


class _Running:
    """The flows that run, which can be ended all at once."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._ends: list[Callable[[], None]] = []
        self._is_over = False

    def add(self, end: Callable[[], None]) -> None:
        """Takes in a flow that has just started; too late, it is ended at once."""
        with self._lock:
            self._ends.append(end)
            is_over = self._is_over
        if is_over:
            end()

    def end(self) -> None:
        """Ends the flows, and those that are just about to start."""
        with self._lock:
            self._is_over = True
            ends = list(self._ends)
        for end in ends:
            end()


def run_together(tasks: Sequence[Callable[[], Steps[T]]], jobs: int) -> Iterator[tuple[int, T | DoltflowError]]:
    """Runs backtests, several at a time; each is begun when it is its turn.

    Everything but the flows happens in this thread, one after the other: databases are asked by one.

    Args:
        tasks: What begins each of them.
        jobs: So many at a time.

    Yields:
        The number of one that has ended, and what it gave or the error that ended it, as they come.

    Raises:
        KeyboardInterrupt: After all flows were ended.
    """
    waiting = list(enumerate(tasks))
    active: dict[Future[Rerun], tuple[int, Steps[T]]] = {}
    running = _Running()
    with ThreadPoolExecutor(jobs, thread_name_prefix="doltflow-flow") as pool:

        def go_on(number: int, steps: Steps[T], step: Callable[[], Job]) -> T | DoltflowError | None:
            try:
                active[pool.submit(step(), running.add)] = (number, steps)
            except StopIteration as end:
                found: T = end.value
                return found
            except DoltflowError as error:
                return error
            return None

        try:
            while waiting or active:
                while waiting and len(active) < jobs:
                    number, begin = waiting.pop(0)
                    steps = begin()
                    ended = go_on(number, steps, lambda steps=steps: next(steps))  # type: ignore[misc]
                    if ended is not None:
                        yield number, ended
                for future in wait(active, return_when=FIRST_COMPLETED).done if active else ():
                    number, steps = active.pop(future)
                    ended = go_on(number, steps, _continuing(steps, future))
                    if ended is not None:
                        yield number, ended
        except BaseException:
            running.end()
            raise


def _continuing(steps: Steps[Any], future: Future[Rerun]) -> Callable[[], Job]:
    """What goes on with steps after a flow has ended, well or not."""
    error = future.exception()
    if error is None:
        return lambda: steps.send(future.result())
    if not isinstance(error, DoltflowError):
        raise error
    return lambda: steps.throw(error)
