"""Live sessions in the engine process, which may die and be replaced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from worker.live.messages import LiveAnswer, LiveFeed
from worker.processes.batching import ChunkBatcher
from worker.processes.children import ChildDied, Lane
from worker.sessions.session import HeldSession

_OPEN_S = 3600.0
"""How long opening a session may take: the model may have to be downloaded first."""

_FEED_S = 60.0
"""A feed that takes so long is stuck, and its process is killed."""


class EngineGone(Exception):
    """The engine process has died, or is not there yet. The batcher replaces it."""


class EngineSide:
    """
    The live lane of a worker's engine process.

    Args:
        check: Called a few times a second while the engine works.
    """

    def __init__(self, batcher: ChunkBatcher, check: Callable[[], None]) -> None:
        self._batcher, self._check = batcher, check
        self._lost_pid: int | None = None

    @property
    def pid(self) -> int | None:
        """The engine process that answers now; None while there is none."""
        lane = self._batcher.live
        if lane is not None and not lane.is_alive:
            self._lose(lane)
            return None
        return lane.pid if lane else None

    def open(self, session: HeldSession) -> None:
        """
        Open a session.

        Raises:
            LonghandError: The engine refuses it.
            EngineGone: The engine is gone.
        """
        pid = self.pid
        self._call("open", session.id, session.request, session.state, stall_s=_OPEN_S)
        session.lane_pid = pid

    def feed(self, feeds: Sequence[LiveFeed]) -> list[LiveAnswer]:
        """
        Give sessions what has come for them.

        Raises:
            LonghandError: The engine could not do it: these sessions have to be opened again.
            EngineGone: The engine is gone.
        """
        answers: list[LiveAnswer] = self._call("feed", list(feeds), stall_s=_FEED_S)
        return answers

    def close(self, session: HeldSession) -> None:
        """Close a session, if a running engine has it."""
        if session.lane_pid is not None and session.lane_pid == self.pid:
            self._call("close", session.id, stall_s=_FEED_S)

    def _call(self, method: str, *args: object, stall_s: float) -> Any:
        lane = self._batcher.live
        if lane is None:
            raise EngineGone
        try:
            return lane.call(method, *args, stall_s=stall_s, check=self._check)
        except (ChildDied, TimeoutError) as error:
            self._lose(lane)
            raise EngineGone(str(error)) from error

    def _lose(self, lane: Lane) -> None:
        if lane.pid != self._lost_pid:
            self._lost_pid = lane.pid
            self._batcher.notice_death()
