"""What is said in the recording of two turns, and how a client's words are held to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from real_speech import n_errors, turns_of

ANN, BEN = turns_of("conversation")[:2]
TEXT = f"{ANN.text} {BEN.text}"

_MOST_ERRORS = 3
"""Of the 36 words: `base` is a small model."""

_NEAR_S = 0.5


def assert_heard(text: str, said: str = TEXT) -> None:
    """The words are those that are said."""
    assert n_errors(said, text) <= _MOST_ERRORS, text


def assert_in_turn(words: Sequence[Any], who: Callable[[Any], Any], starts: Sequence[float]) -> Any:
    """
    Every word is in its order and its speaker's; the two speakers.

    Args:
        who: Whose a word is.
        starts: When each of them begins, in seconds.
    """
    assert list(starts) == sorted(starts)
    assert abs(starts[0] - ANN.start) < _NEAR_S
    first = [who(word) for word, at in zip(words, starts, strict=True) if at < BEN.start - _NEAR_S]
    second = [who(word) for word, at in zip(words, starts, strict=True) if at > BEN.start + _NEAR_S]
    assert len(set(first)) == len(set(second)) == 1, (first, second)
    assert first[0] != second[0]
    return first[0], second[0]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A host on this machine whose files are those of a folder; its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as host:
        thread = threading.Thread(target=host.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{host.server_port}"
        host.shutdown()
        thread.join()
