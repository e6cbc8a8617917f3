"""Opens live sessions, and takes up those whose caller connects again."""

from __future__ import annotations

import asyncio
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from redis import Redis as BlockingRedis
from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from gateway.access.callers import Access, refuse_untrusted_page
from gateway.access.origins import Origins
from gateway.live.sessions.following import Following, Patience
from gateway.live.sessions.session import LiveSession
from gateway.live.sessions.text import LiveText
from gateway.settings import GatewaySettings
from gateway.submission.models import check_model
from shared.catalogue import ModelEntry
from shared.errors import Busy, InvalidRequest, ModelNotFound, TooManyRequests
from shared.keys import LIVE_AUDIO, LIVE_SAID, LIVE_SESSION
from shared.live.request import LiveRequest
from shared.live.updates import LiveUpdate
from shared.live.wire import OPEN, RESUME, AudioEntry
from shared.request import TranscriptionRequest
from shared.workers import WorkerRecord, Workers, known_models

_CLAIM_S = 4.5
"""How long a worker may take to claim a session. Callers are told within five seconds."""

_RETRY_S = 10
_SESSION_ID = re.compile(r"[A-Za-z0-9_-]{16,64}")


@dataclass(frozen=True)
class Clients:
    """Clients of Redis: `blocking` reads records of workers, `asked` is asked, `read` blocks."""

    blocking: BlockingRedis
    asked: Redis
    read: Redis


class LiveSessions:
    """The live sessions of this program."""

    def __init__(
        self, settings: GatewaySettings, clients: Clients, access: Access, origins: Origins
    ) -> None:
        self.settings = settings
        self._redis = clients.asked
        self._workers = Workers(clients.blocking)
        self._access, self._origins = access, origins
        patience = Patience(
            settings.live_idle_s, settings.live_max_session_s, settings.live_resume_s
        )
        self.following = Following(clients.read, secrets.token_hex(8), patience)
        self._open = self._redis.register_script(OPEN)
        self._resume = self._redis.register_script(RESUME)

    def admit(self, asking: HTTPConnection, token: str | None = None) -> str:
        """
        The owner that a connection acts for.

        Args:
            token: A key that came by another way than a header; if None, the query's `token`.

        Raises:
            Unauthorized, Forbidden: They may not have a session.
        """
        # A page of any site may open a WebSocket with the password that the browser knows.
        self._origins.refuse_foreign("POST", asking.headers)
        peer = asking.client.host if asking.client else None
        token = token or asking.query_params.get("token") or None
        caller = self._access.identify(headers=asking.headers, peer=peer, token=token)
        refuse_untrusted_page(caller, self._origins, "POST", asking.headers)
        return caller.owner

    async def model(self, name: str | None, *, strict: bool = False) -> str:
        """
        A model's own name, for what a caller sent.

        Args:
            strict: Whether an unknown name is refused; else the site's default model is taken.

        Raises:
            ModelNotFound: There is no such model.
        """
        live = await self._live()
        catalogue, known = self.settings.catalogue, known_models(live)
        found = catalogue.resolve(name or None, known)
        if found is None and strict:
            raise ModelNotFound(f"model {name!r} is not known", param="model")
        found = found or catalogue.resolve(None, known)
        assert found is not None
        return found

    async def models(self) -> list[ModelEntry]:
        """The models that running workers have for live sessions, the site's default first."""
        live = await self._live()
        known = known_models(live)
        names = {name for worker in live if worker.live_sessions for name in worker.models}
        first = await self.model(None)
        others = sorted(names & known.keys() - {first})
        return [known[name] for name in (first, *others) if name in known]

    async def open(
        self, owner: str, request: LiveRequest, session_id: str | None = None
    ) -> LiveSession:
        """
        Open a session and wait until a worker has claimed it.

        Args:
            session_id: The caller's own name for it. If the owner has such a session already, that
                one goes on: its caller was disconnected.

        Raises:
            InvalidRequest, ModelNotFound: No worker can do what is asked; or the name is not
                possible, or taken by somebody else.
            TooManyRequests: The owner has too many sessions.
            Busy: The site has too many, no worker is free, or Redis is away.
        """
        if session_id and await self._is_known(session_id):
            return await self.resume(owner, session_id)
        live = await self._live()
        self._check(request, live)
        capacity = sum(w.live_sessions for w in live if w.is_usable(request.model))
        if not capacity:
            raise Busy("no running worker takes live sessions; try later", retry_after_s=_RETRY_S)
        name = session_id or secrets.token_hex(16)
        session = LiveSession(self._redis, name, owner, request)
        session.is_named = session_id is not None
        self.following.add(session)
        try:
            await self._enter(session, min(capacity, self.settings.live_max_sessions))
            await self._claimed(session)
        except BaseException:
            await self._give_up(session)
            raise
        return session

    async def resume(self, owner: str, session_id: str) -> LiveSession:
        """
        Take up a session whose connection broke; `text` and `received_s` are as they were.

        Raises:
            InvalidRequest: The owner has no such session any more.
        """
        redis, name = self._redis, self.following.name
        if not await self._resume(args=[session_id, owner, name]):
            raise InvalidRequest(
                f"there is no session {session_id[:64]!r} to go on with", param="session"
            )
        asked: Any = await redis.hget(LIVE_SESSION.of(session_id), "request")
        session = LiveSession(redis, session_id, owner, LiveRequest.model_validate_json(asked))
        # Before what was said is read: else an update in between would be lost.
        session.is_named = True
        self.following.add(session)
        try:
            said: Any = await redis.lrange(LIVE_SAID.of(session_id), 0, -1)
            newest: Any = await redis.xrevrange(LIVE_AUDIO.of(session_id), count=1)
        except BaseException:
            self.following.leave(session)
            raise
        text = LiveText()
        for line in said:
            text.apply(LiveUpdate.model_validate_json(line))
        n_samples = AudioEntry.read(*newest[0]).end if newest else int(text.heard_s * 16_000)
        session.go_on(text, n_samples)
        return session

    async def _is_known(self, session_id: str) -> bool:
        if not _SESSION_ID.fullmatch(session_id):
            raise InvalidRequest(
                "session: 16 to 64 letters, digits, - or _ that nobody else can guess",
                param="session",
            )
        return bool(await self._redis.exists(LIVE_SESSION.of(session_id)))

    def stop(self) -> None:
        """Tell every caller that the program ends."""
        self.following.stop()

    async def _live(self) -> list[WorkerRecord]:
        return await run_in_threadpool(self._workers.live)

    def _check(self, request: LiveRequest, live: list[WorkerRecord]) -> None:
        """Refuse what no worker can do, as for jobs."""
        try:
            alike = TranscriptionRequest(
                model=request.model,
                language=request.language,
                task="translate" if request.also_translate else request.task,
                diarize=request.diarize,
            )
        except ValidationError as error:
            raise InvalidRequest(str(error.errors()[0]["msg"])) from error
        check_model(alike, self.settings.catalogue, live)

    async def _enter(self, session: LiveSession, most: int) -> None:
        settings, name = self.settings, self.following.name
        asked = session.request
        await self.following.sign()
        arguments: list[str | int] = [
            session.id, session.owner, asked.model_dump_json(), asked.model, name, most,
            settings.live_sessions_per_owner,
        ]  # fmt: skip
        answer = await self._open(args=arguments)
        if answer == b"site" and await self.following.make_room():
            answer = await self._open(args=arguments)
        if answer == b"owner":
            raise TooManyRequests(
                f"{settings.live_sessions_per_owner} live sessions of yours are open already "
                "(LONGHAND_LIVE_SESSIONS_PER_OWNER)",
                retry_after_s=_RETRY_S,
            )
        if answer == b"site":
            raise Busy(f"all {most} live sessions of this site are taken", retry_after_s=_RETRY_S)

    async def _claimed(self, session: LiveSession) -> None:
        """Wait for the first update: it shows that a worker has the session."""
        if not await session.heard_of(_CLAIM_S):
            raise Busy("no worker is free for a live session; try later", retry_after_s=_RETRY_S)

    async def _give_up(self, session: LiveSession) -> None:
        with suppress(RedisError, OSError):  # then its keys expire
            await asyncio.shield(self.following.forget(session))
