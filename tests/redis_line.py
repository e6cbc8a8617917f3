"""A connection to Redis that can lose an answer: the command was carried out all the same."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class RedisLine:
    """Passes bytes on between clients and the Redis at `redis_url`."""

    def __init__(self, redis_url: str) -> None:
        parts = urlsplit(redis_url)
        self._to = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.url = redis_url.replace(f":{parts.port}", f":{port}")
        self.n_lost = 0
        self._losing: bytes | None = None
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]

    def lose_answer_to(self, command: bytes) -> None:
        """Break the connection instead of giving the answer to the next such command."""
        self._losing = command

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for end in (self._listener, *self._sockets):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for end in (self._listener, *self._sockets):
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                server = socket.create_connection(self._to)
                self._sockets += [client, server]
                thread = threading.Thread(target=self._pass_on, args=(client, server))
                self._threads.append(thread)
                thread.start()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        """Commands one at a time, as redis-py sends them; an answer is awaited for each."""
        with suppress(OSError):
            while command := client.recv(1 << 20):
                server.sendall(command)
                answer = server.recv(1 << 20)
                if self._losing and self._losing in command:
                    self._losing = None
                    self.n_lost += 1
                    break
                client.sendall(answer)
        for end in (client, server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
