"""Knows how answers are kept in memory; see `pinnace.core.ports.AnswerStore` for what it promises."""

from __future__ import annotations

import threading

from pinnace.core.model.answers import AnswerId, AnswerKind, KeptAnswer


class MemoryAnswerStore:
    """`AnswerStore` of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[AnswerId, tuple[KeptAnswer, float]] = {}

    async def claim(self, answer_id: AnswerId, fingerprint: str, now: float, until: float) -> KeptAnswer | None:
        with self._lock:
            present = self._look(answer_id, now)
            if present is None:
                self._kept[answer_id] = (KeptAnswer(fingerprint, None), until)
            return present

    async def keep(self, answer_id: AnswerId, answer: KeptAnswer, now: float, until: float) -> None:
        with self._lock:
            for old in [kept for kept, (_, end) in self._kept.items() if end <= now]:
                del self._kept[old]
            self._kept[answer_id] = (answer, until)

    async def look(self, answer_id: AnswerId, now: float) -> KeptAnswer | None:
        with self._lock:
            return self._look(answer_id, now)

    async def release(self, answer_id: AnswerId) -> None:
        with self._lock:
            present = self._kept.get(answer_id)
            if present is not None and present[0].answer is None:
                del self._kept[answer_id]

    async def forget(self, kind: AnswerKind, project_id: str) -> int:
        with self._lock:
            gone = [kept for kept in self._kept if (kept.kind, kept.project_id) == (kind, project_id)]
            for answer_id in gone:
                del self._kept[answer_id]
            return len(gone)

    def _look(self, answer_id: AnswerId, now: float) -> KeptAnswer | None:
        present = self._kept.get(answer_id)
        return present[0] if present is not None and now < present[1] else None
