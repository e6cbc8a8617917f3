"""Serves live sessions: one thread moves audio to the engine process, and its words to Redis."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError

from shared.errors import LonghandError
from shared.live.wire import SAMPLE_BYTES
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.live.messages import LiveAnswer
from worker.processes.batching import ChunkBatcher
from worker.processes.lanes import ChildDied
from worker.sessions.claims import Claims
from worker.sessions.counts import LiveCounts
from worker.sessions.held import HeldSession

_READ_S = 0.1
_BELL_S = 1.0
_CLAIM_EVERY_S = 0.5
_AGAIN_S = 0.3
_MAX_DEATHS = 2

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """
    How long a worker waits, in seconds.

    Attributes:
        stall_s: For an answer of the engine process, which is killed then.
        orphan_s: For the gateway.live of a session. Its caller may connect to another one.
    """

    stall_s: float
    orphan_s: float = 30.0


class Loading(threading.Thread):
    """Loads a model while other sessions go on."""

    def __init__(self, load: Callable[[str], Any], model: str) -> None:
        super().__init__(name=f"loading {model}", daemon=True)
        self._load, self._model = load, model
        self.problem: LonghandError | None = None
        self.start()

    def run(self) -> None:
        """Load it."""
        try:
            self._load(self._model)
        except LonghandError as error:
            self.problem = error


class SessionHost(threading.Thread):
    """
    Claims and serves live sessions.

    Args:
        batcher: Owns the engine process.
        capacity: Most sessions at a time.
        models: Gives the models that this worker can run; none for any.
        load: Loads a model in the engine process.
        patience: How long it waits.
    """

    def __init__(
        self,
        claims: Claims,
        batcher: ChunkBatcher,
        *,
        capacity: int,
        models: Callable[[], Sequence[str]],
        load: Callable[[str], Any],
        patience: Patience,
    ) -> None:
        super().__init__(name="live", daemon=True)
        self._claims, self._batcher = claims, batcher
        self.capacity = capacity
        self._models, self._load, self._patience = models, load, patience
        self._held: dict[str, HeldSession] = {}
        self._engine_pid: int | None = None
        self._claimed_at = 0.0
        self._loads: dict[str, Loading] = {}
        self._feeding: HeldSession | None = None
        self._stopping = threading.Event()
        self.counts = LiveCounts()

    @property
    def n_held(self) -> int:
        """How many sessions this worker has."""
        return len(self._held)

    def run(self) -> None:
        """Serve until stopped."""
        while self.capacity and not self._stopping.is_set():
            try:
                self._turn()
            except (ChildDied, TimeoutError) as error:
                self._reopen_all(error)
            except (RedisError, OSError) as error:
                _log.warning("Redis is away, live sessions wait: %s", error)
                self._stopping.wait(_AGAIN_S)
            except Exception:
                _log.exception("a turn of live sessions failed")
                self._stopping.wait(_AGAIN_S)
        self._give_all_back()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Give every session back, so that another worker goes on with it."""
        self._stopping.set()
        if self.is_alive():
            self.join(timeout_s)

    def _turn(self) -> None:
        self._publish_all()  # first: it renews claims that an outage may have ended
        self._claim_more()
        if not self._held:
            self._claims.wait_for_bell(_BELL_S)
            return
        self._open_all()
        self._claims.read(list(self._held.values()), _READ_S)
        self._feed_all()
        self._repeat_due()

    def _repeat_due(self) -> None:
        for held in self._held.values():
            if held.is_due and not held.is_over:
                held.repeat()

    def _renew(self) -> None:
        """Renew the claims during a call of the engine process that takes long."""
        self._repeat_due()
        with suppress(RedisError, OSError):
            for held in self._held.values():
                while held.updates and not held.updates[0].update.is_last:
                    self._claims.publish(held)

    def _claim_more(self) -> None:
        now = time.monotonic()
        if self._held and now - self._claimed_at < _CLAIM_EVERY_S:
            return
        self._claimed_at = now
        while len(self._held) < self.capacity and not self._stopping.is_set():
            held = self._claims.claim(self._models())
            if held is None:
                return
            self._held[held.id] = held
            self.counts.n_sessions += 1
            held.repeat()
            _log.info("live session %s begins here (claim %d)", held.id, held.epoch)

    def _open_all(self) -> None:
        """Open sessions in the engine process; all of them again if it is another one."""
        if self._batcher.engine_pid != self._engine_pid:
            self._engine_pid = self._batcher.engine_pid
            for held in self._held.values():
                held.read_again()
        for held in [held for held in self._held.values() if not (held.is_open or held.is_over)]:
            try:
                if self._is_loaded(held.model):
                    self._call("open", held.id, held.request, held.state)
                    held.is_open = True
            except LonghandError as error:
                self._end(held, str(error))

    def _is_loaded(self, model: str) -> bool:
        """
        Whether a model is in memory; if not, it is loaded meanwhile.

        Raises:
            LonghandError: It cannot be loaded.
        """
        status = self._batcher.status
        if status is not None and model in status.loaded:
            return True
        if model not in self._loads:
            self._loads[model] = Loading(self._load, model)
        loading = self._loads[model]
        if loading.is_alive():
            return False
        del self._loads[model]
        if loading.problem is not None:
            raise loading.problem
        return True

    def _feed_all(self) -> None:
        """Give each session what came for it, in turn, and publish what it says immediately."""
        for held in [held for held in self._held.values() if held.is_open]:
            self.counts.lag_s = max(self.counts.lag_s, held.waiting_s)
            feed = held.next_feed()
            if feed is None:
                continue
            self._feeding = held
            try:
                answer: LiveAnswer | None = self._call("feed", feed)
            except LonghandError as error:
                self._end(held, str(error))
                continue
            self._feeding = None
            if answer is None:  # it is another process now
                held.read_again()
                continue
            held.answered(answer)
            self.counts.n_calls += 1
            self.counts.n_steps += answer.n_steps
            self.counts.audio_s += len(feed.pcm) / SAMPLE_BYTES / SAMPLE_RATE_HZ
            self._publish(held)

    def _call(self, method: str, *args: Any) -> Any:
        """
        Call the engine process.

        Raises:
            ChildDied, TimeoutError: It is gone.
            LonghandError: What the method raised.
        """
        return self._batcher.live_call(
            method, *args, stall_s=self._patience.stall_s, check=self._renew
        )

    def _reopen_all(self, error: Exception) -> None:
        """After the engine process is gone: have another one started, and go on with it."""
        _log.error("the engine was lost with %d live sessions: %s", len(self._held), error)
        self._engine_pid = None
        if self._feeding is not None:
            self._feeding.n_deaths += 1
            if self._feeding.n_deaths >= _MAX_DEATHS:
                self._end(self._feeding, f"the engine was lost twice over it ({error})")
            self._feeding = None
        for held in self._held.values():
            held.read_again()
        for model in {held.model for held in self._held.values()}:
            with suppress(LonghandError):
                self._load(model)  # the batcher notices that its process is gone

    def _publish_all(self) -> None:
        for held in list(self._held.values()):
            self._publish(held)

    def _publish(self, held: HeldSession) -> None:
        while held.updates and held.id in self._held:
            is_last = held.updates[0].update.is_last
            answer = self._claims.publish(held)
            if answer < 0:
                _log.info("live session %s goes on elsewhere", held.id)
            if answer < 0 or is_last:
                self._drop(held)
            else:
                self._note_gateway(held, is_there=answer == 1)

    def _note_gateway(self, held: HeldSession, *, is_there: bool) -> None:
        now = time.monotonic()
        if is_there:
            held.orphan_since = None
        elif held.orphan_since is None:
            held.orphan_since = now
        elif now - held.orphan_since > self._patience.orphan_s:
            self._end(held, "nobody listens to this session any more")

    def _end(self, held: HeldSession, problem: str) -> None:
        _log.warning("live session %s ends: %s", held.id, problem)
        held.is_open = False
        held.repeat(is_last=True, problem=problem, tail=())

    def _drop(self, held: HeldSession) -> None:
        self._held.pop(held.id, None)
        if held.is_open:
            with suppress(LonghandError, ChildDied, OSError):
                self._call("close", held.id)

    def _give_all_back(self) -> None:
        for held in list(self._held.values()):
            try:
                while held.updates:
                    self._claims.publish(held)
                self._claims.give_back(held)
            except (RedisError, OSError) as error:
                _log.warning("live session %s waits until its claim ends: %s", held.id, error)
        self._held.clear()
