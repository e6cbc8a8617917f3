"""How a program starts: it takes no options, and says which setting keeps it from starting."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class CannotStart(OSError):
    """What a setting names cannot be used; its text names the setting."""


def answer_arguments(program: str, arguments: Sequence[str]) -> int | None:
    """
    Answer whoever gives options to a program that has none.

    Returns:
        The exit status; None without arguments, so that the program goes on.
    """
    if not arguments:
        return None
    told = (
        f"{program} takes no options: its settings are variables, LONGHAND_…, which "
        "docs/settings.md lists and `./longhand check` checks\n"
    )
    if arguments[0] in ("--help", "-h"):
        sys.stdout.write(told)
        return 0
    sys.stderr.write(f"{arguments[0]!r} is not understood. {told}")
    return 2


@contextmanager
def naming(setting: str, value: object) -> Iterator[None]:
    """
    Name the setting that an error of the block is about.

    >>> with naming("LONGHAND_STORAGE_DIR", "/srv"):
    ...     raise PermissionError(13, "Permission denied", "/srv/jobs")
    Traceback (most recent call last):
    shared.starting.CannotStart: LONGHAND_STORAGE_DIR is /srv: Permission denied
    """
    try:
        yield
    except (OSError, ValueError) as error:  # waitress says ValueError of a host that is none
        said = getattr(error, "strerror", None) or error
        raise CannotStart(f"{setting} is {value}: {said}") from error
