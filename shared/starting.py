"""What the programs share when they start: no options, and errors that name a setting."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class CannotStart(OSError):
    """The value of a setting cannot be used. The message names the setting."""


def answer_arguments(program: str, arguments: Sequence[str]) -> int | None:
    """
    Answer the command-line arguments of a program that takes none.

    Returns:
        The exit status; None if there are no arguments and the program goes on.
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
    Raise `CannotStart`, which names the setting, for an error within the block.

    >>> with naming("LONGHAND_STORAGE_DIR", "/srv"):
    ...     raise PermissionError(13, "Permission denied", "/srv/jobs")
    Traceback (most recent call last):
    shared.starting.CannotStart: LONGHAND_STORAGE_DIR is /srv: Permission denied
    """
    try:
        yield
    except (OSError, ValueError) as error:  # waitress raises ValueError for a bad host
        said = getattr(error, "strerror", None) or error
        raise CannotStart(f"{setting} is {value}: {said}") from error
