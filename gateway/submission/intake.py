"""Several recordings of one request on their way into storage; all of them, or nothing is kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import IO

from werkzeug.datastructures import MultiDict
from werkzeug.sansio.multipart import Data, Field, File

from gateway.reading.audio import AudioWriter, clean_filename
from gateway.reading.forms import Form, read_events
from gateway.reading.probe import AudioFacts
from gateway.services import Services
from gateway.submission.submit import duration_of, look_into
from shared.errors import AudioError, AudioUnreadable, InvalidRequest, LonghandError
from shared.records import StoredAudio, job_prefix, new_job_id
from shared.request import TranscriptionRequest

MOST_ITEMS = 100
_MOST_FIELDS = 100
FILE_FIELDS = ("files", "files[]", "file")


@dataclass(frozen=True)
class Item:
    """One recording: the job it will be of, and what it is."""

    job_id: str
    audio: StoredAudio
    facts: AudioFacts


class Intake:
    """What has arrived so far."""

    def __init__(self, here: Services) -> None:
        self._here = here
        self._job_ids: list[str] = []
        self.items: list[Item] = []

    def remove(self) -> None:
        """Delete all that was stored."""
        for job_id in self._job_ids:
            self._here.storage.delete_all(job_prefix(job_id))

    @contextmanager
    def open(self, name: str) -> Iterator[tuple[AudioWriter, list[str]]]:
        """
        Store what is written within the block, and look into it.

        Args:
            name: What errors call it.

        Yields:
            Where it is written, and a list whose last entry is its filename.

        Raises:
            LonghandError: It is not audio, or cannot be taken; the name stands before.
        """
        if len(self.items) >= MOST_ITEMS:
            raise InvalidRequest(f"a batch may have {MOST_ITEMS} recordings at most")
        job_id, names = new_job_id(), [name]
        self._job_ids.append(job_id)
        key = f"{job_prefix(job_id)}/audio"
        with _naming(name):
            with self._here.storage.create(key) as out:
                writer = AudioWriter(out, self._here.settings.max_audio_bytes)
                yield writer, names
                if not writer.n_bytes:
                    raise AudioUnreadable("the file is empty", param="files")
            facts = look_into(self._here, key)
            audio = StoredAudio(
                key=key,
                filename=clean_filename(names[-1]),
                n_bytes=writer.n_bytes,
                sha256=writer.sha256,
                duration_s=duration_of(self._here, facts, TranscriptionRequest()),
            )
        self.items.append(Item(job_id, audio, facts))

    def check(self, options: TranscriptionRequest) -> list[Item]:
        """
        The recordings, each with the duration of the track that is chosen.

        Raises:
            LonghandError: One cannot be transcribed so; its name stands before.
        """
        checked = []
        for item in self.items:
            with _naming(item.audio.filename, (AudioError, InvalidRequest)):
                duration_s = duration_of(self._here, item.facts, options)
            audio = item.audio.model_copy(update={"duration_s": duration_s})
            checked.append(replace(item, audio=audio))
        return checked


@contextmanager
def _naming(name: str, kinds: tuple[type[LonghandError], ...] = (AudioError,)) -> Iterator[None]:
    """Put the name of the recording before what is wrong with it."""
    try:
        yield
    except kinds as error:
        param = "files" if isinstance(error, AudioError) else error.param
        raise type(error)(f"{clean_filename(name)!r}: {error.message}", param=param) from error


def copy_files(body: IO[bytes], boundary: str, intake: Intake) -> MultiDict[str, str]:
    """
    Store every file of a multipart body.

    Returns:
        Its other fields.

    Raises:
        InvalidRequest: The form is broken, or a file has another name than `FILE_FIELDS`.
        AudioError: One of the files cannot be taken; it names it.
    """
    form, value = Form(), bytearray()
    part: Field | File | None = None
    writer: AudioWriter | None = None
    with ExitStack() as current:
        for event in read_events(body, boundary, most_parts=MOST_ITEMS + _MOST_FIELDS):
            if isinstance(event, Field | File):
                current.close()
                part, value, writer = event, bytearray(), None
                _check(part)
            elif isinstance(event, Data) and isinstance(part, File):
                if writer is None and (event.data or part.filename):
                    writer, _ = current.enter_context(intake.open(part.filename or "audio"))
                if writer is not None:
                    writer.write(event.data)
            elif isinstance(event, Data) and part is not None:
                form.take(part.name, value, event)
    return form.fields


def _check(part: Field | File) -> None:
    """A browser sends a field in which no file was chosen as a file without a name or bytes."""
    name = (part.name or "")[:64]
    if isinstance(part, Field) and name in FILE_FIELDS:
        raise InvalidRequest(
            f"field {name!r} has to be a file, not text (curl: -F {name}=@talk.mp3, with the @)",
            param=name,
        )
    if isinstance(part, File) and name not in FILE_FIELDS:
        raise InvalidRequest(
            f"field {name!r} is not known as a file; send every recording as 'files[]'", param=name
        )
