"""Work on items in a few threads, some way ahead of whoever consumes the results, in order and in bounded memory."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

import cv2

Item = TypeVar("Item")
Result = TypeVar("Result")

WORKERS = min(4, os.cpu_count() or 1)  # decoding is quicker than inference: more threads would only take its cores
WINDOW = 2 * WORKERS  # results that may wait: 8 tensors of 640x640 are 40 MB


def ahead(
    work: Callable[[Item], Result], items: Iterable[Item], *, workers: int = WORKERS, window: int = WINDOW
) -> Generator[Result, None, None]:
    """Yield ``work(item)`` for each item, in order, computed in threads; one worker does them one after another.

    At most ``window`` results wait, however many items there are. An error in ``work`` is raised at its item's place.
    Closing the iterator early drops what has not begun and waits for what has.
    """
    remaining = iter(items)
    with modest_opencv(), ThreadPoolExecutor(workers, thread_name_prefix="pictures") as pool:
        try:
            waiting: deque[Future[Result]] = deque(pool.submit(work, item) for item in islice(remaining, window))
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(work, item) for item in islice(remaining, 1))
                yield result
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def modest_opencv() -> Iterator[None]:
    """Keep OpenCV from starting threads inside our threads, and from logging about files that we report ourselves."""
    set_log_level = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel  # OpenCV 5 moved it
    threads, level = cv2.getNumThreads(), set_log_level(0)
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
        set_log_level(level)
