"""Each try to send a webhook message, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ConfigDict, Field

from gateway.answering.shapes.deliveries import DeliveryTry
from shared.jobs.messages import Messages, Taken


class Try(DeliveryTry):
    """One try to send a message, as Redis keeps it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    at: float = Field(description="When it began, in seconds since 1970.")  # type: ignore[assignment]


class DueMessages(Messages):
    """The webhook messages of a site, with the tries that were made."""

    def settle(self, taken: Taken, *, made: Try | None = None, next_s: float | None = None) -> None:
        """
        End the lease of a message.

        Args:
            made: A try to add to the job's log; None if none was made.
            next_s: Seconds until the message is due again; None if it never is.
        """
        entry, outcome = (made.model_dump_json(), made.outcome) if made else ("", "")
        self.give_back(taken, next_s=next_s, entry=entry, outcome=outcome)

    def log(self, job_id: str) -> Sequence[Try]:
        """Every try for a job, the oldest first."""
        return [Try.model_validate_json(entry) for entry in self.entries(job_id)]
