"""Checks, before a job is made, whether a worker can say who speaks."""

from __future__ import annotations

from collections.abc import Sequence

from shared.catalogue import ModelEntry
from shared.errors import ModelNotFound
from shared.request import TranscriptionRequest
from shared.workers import WorkerRecord


def check_diarizer(
    request: TranscriptionRequest, entry: ModelEntry, live: Sequence[WorkerRecord]
) -> None:
    """
    Refuse `diarize` if no live worker has both the model and the diarization model.

    While no worker is live every diarization model is accepted: the job waits for a worker.

    Args:
        entry: The model that is to transcribe.

    Raises:
        ModelNotFound: No worker can do it; the message says what there is, and what is missing.
    """
    able = [worker for worker in live if worker.can_run(entry.name)]
    chosen = request.diarize_model
    if not request.diarize or not able:
        return
    if any(worker.can_diarize(entry, chosen) for worker in able):
        return
    found = (worker.diarizer_problems.get(worker.diarizer(entry, chosen)) for worker in able)
    why = next(filter(None, found), None)
    if chosen is None:
        raise ModelNotFound(
            f"no running worker can say who speaks: {why or 'none has a diarization model'}. "
            "Leave out diarize=true (diarized_json, enable_diarization) for the text alone",
            param="diarize",
        )
    there = sorted({name for worker in able for name in worker.diarizers or ()})
    why = f": {why}" if why else ", and none may download it"
    raise ModelNotFound(
        f"no running worker can diarize by {chosen!r}{why}; they have {', '.join(there) or 'none'}",
        param="diarize_model",
    )
