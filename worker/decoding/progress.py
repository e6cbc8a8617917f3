"""How far a job is, from how far its stages are."""

from __future__ import annotations

from collections.abc import Callable, Mapping

Report = Callable[[str, float, float], None]
"""Takes the stage, the fraction done and the seconds of audio done; raises to stop the work."""


class Progress:
    """
    Reports how far a job is.

    Args:
        shares: How much work each stage is, in order. Only their proportions count.
        report: Called at every step.
    """

    def __init__(self, shares: Mapping[str, float], report: Report) -> None:
        whole = sum(shares.values())
        self._parts: dict[str, tuple[float, float]] = {}
        at = 0.0
        for stage, share in shares.items():
            self._parts[stage] = (at, share / whole)
            at += share / whole
        self._report = report
        self.done_s = 0.0
        """Seconds of audio transcribed."""

    def of(self, stage: str) -> Callable[[float], None]:
        """
        A function that reports the fraction of a stage that is done.

        >>> Progress({"speech": 1, "transcribe": 3}, print).of("transcribe")(0.5)
        transcribe 0.625 0.0
        """
        start, share = self._parts[stage]
        return lambda fraction: self._report(stage, start + share * fraction, self.done_s)
