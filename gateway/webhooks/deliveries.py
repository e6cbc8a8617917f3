"""Each try to send a message to a caller's own server, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from gateway.answering.shapes.deliveries import Outcome
from shared.jobs.messages import Messages, Taken


class Try(BaseModel):
    """One try to deliver a message."""

    model_config = ConfigDict(frozen=True)

    webhook_id: str = Field(description="The message's id, the same at every try.")
    attempt: int = Field(description="Which try it was, from 1.")
    at: float = Field(description="When it began, in seconds since 1970.")
    took_s: float = Field(description="How long it took, in seconds.")
    outcome: Outcome = Field(
        description="`delivered`, `failed` (it is tried again) or `given_up` (it is not)."
    )
    status_code: int | None = Field(None, description="What the receiver answered.")
    error: str | None = Field(None, description="Why there is no answer, or why it is no success.")


class Deliveries(Messages):
    """The messages of a site, with the tries that were made."""

    def settle(self, taken: Taken, *, made: Try | None = None, next_s: float | None = None) -> None:
        """
        Give one back.

        Args:
            made: A try to be noted in the job's log.
            next_s: Seconds until it is due again; None if it never is.
        """
        entry, outcome = (made.model_dump_json(), made.outcome) if made else ("", "")
        self.give_back(taken, next_s=next_s, entry=entry, outcome=outcome)

    def log(self, job_id: str) -> Sequence[Try]:
        """Every try for a job, the oldest first."""
        return [Try.model_validate_json(entry) for entry in self.entries(job_id)]
