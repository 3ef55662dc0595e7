"""Knows how records wait to be written, off the event loop, in batches, for a second at most; it must not know who reads them.

One lock guards the queue and is held for an append; another guards the file and is held while a disk is waited for.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from pinnace.core.adapters.duckdb.files import DayFile, LinesLost, create, sweep
from pinnace.core.adapters.duckdb.lines import line_of
from pinnace.core.model.access_log import AccessRecord, moment_of
from pinnace.core.ports import Clock

log = logging.getLogger("pinnace.access_log")

#: Records that are written at once, and seconds that the first of them waits at most.
BATCH = 500
DELAY = 1.0
#: Records that may wait, which take about 70 MB: a disk that hangs must not fill the memory.
QUEUE = 100_000
#: Seconds between two complaints of what was lost.
COMPLAINTS = 60.0
#: Seconds after which a server that nobody calls looks whether a day has passed.
ROUND = 3600.0


class Writer:
    """Writes records from a thread of its own, which starts with the first one; after `close` the next one starts another."""

    def __init__(
        self,
        directory: Path,
        clock: Clock,
        days: int,
        opener: Callable[[Path], int] = create,
        *,
        most: int = QUEUE,
        delay: float = DELAY,
    ) -> None:
        self._directory, self._clock, self._days = directory, clock, days
        self._most, self._delay = most, delay
        self._changed = threading.Condition()
        self._queued: list[AccessRecord] = []
        self._thread: threading.Thread | None = None
        self._writing = threading.Lock()
        self._file = DayFile(directory, opener)
        self._swept = ""
        self._lost = self._told = 0
        self._reason = ""
        self._quiet_until = float("-inf")

    @property
    def lost(self) -> int:
        return self._lost

    def add(self, record: AccessRecord) -> None:
        with self._changed:
            if len(self._queued) >= self._most:
                self._lost += 1
                self._reason = "more records waited than may"
                return
            self._queued.append(record)
            if self._thread is None:
                self._start()
            if len(self._queued) in (1, BATCH):
                self._changed.notify_all()

    def flush(self) -> None:
        """Write what is queued; it never fails."""
        with self._writing:
            with self._changed:
                records, self._queued = self._queued, []
            try:
                self._write(records)
            except Exception:
                # The thread must outlive whatever this is, or nothing would be written any more.
                log.exception("the access log could not be written")
                self._lose(len(records), "unexpected error")
            self._complain()

    def close(self) -> None:
        """Write what is queued, and stop; idempotent."""
        with self._changed:
            thread, self._thread = self._thread, None
            self._changed.notify_all()
        if thread is not None:
            thread.join()
        self.flush()
        with self._writing:
            self._file.close()

    def sweep(self) -> None:
        """Remove what is too old, where that was not done today."""
        today = moment_of(self._clock.now())[:10]
        if today == self._swept:
            return
        self._swept = today
        try:
            sweep(self._directory, today, self._days)
        except OSError as error:
            log.error("old days of the access log could not be removed", extra={"reason": error.strerror})

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # The system has no thread to give. The next record tries again, and no request fails for it.
            return
        self._thread = thread

    def _run(self) -> None:
        def ended() -> bool:
            return self._thread is not threading.current_thread()

        while True:
            self.sweep()
            with self._changed:
                self._changed.wait_for(lambda: self._queued or ended(), ROUND)
                self._changed.wait_for(lambda: len(self._queued) >= BATCH or ended(), self._delay)
                if ended():
                    return
            self.flush()

    def _write(self, records: Sequence[AccessRecord]) -> None:
        for day, of_day in groupby(records, lambda record: moment_of(record.at)[:10]):
            lines = list(self._lines(of_day))
            try:
                self._file.append(day, lines)
            except LinesLost as lost:
                self._lose(lost.count, lost.reason)

    def _lines(self, records: Iterable[AccessRecord]) -> Iterator[bytes]:
        for record in records:
            try:
                yield line_of(record)
            except TypeError:
                self._lose(1, "a text that is no text")

    def _lose(self, count: int, reason: str) -> None:
        with self._changed:
            self._lost += count
            self._reason = reason

    def _complain(self) -> None:
        now = self._clock.monotonic()
        if self._lost > self._told and now >= self._quiet_until:
            lines, self._told = self._lost - self._told, self._lost
            self._quiet_until = now + COMPLAINTS
            log.error("lines of the access log were lost", extra={"lines": lines, "reason": self._reason})
