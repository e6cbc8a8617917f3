"""Which files make a Whisper model, in each form that an engine reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from shared.catalogue import MODELS
from worker.engines import Form
from worker.engines.compact import COMPACT_FILE
from worker.models.conversion.ctranslate2_file import NotConvertible
from worker.models.file_set import FileSet, Origin, Repository, lacking
from worker.models.manifest import Manifest, mark, read_manifest, write_manifest
from worker.models.published import PUBLISHED, Published

WEIGHTS_FILE = "model.bin"
PREPROCESSOR_FILE = "preprocessor_config.json"

_CTRANSLATE2_FILES = (WEIGHTS_FILE, "config.json", "tokenizer.json", "vocabulary.*")


class CTranslate2Files(FileSet):
    """A folder of CTranslate2: the form of faster-whisper and whisperx."""

    @property
    def origin(self) -> Origin | None:
        """See `FileSet.origin`."""
        repository = MODELS[self.name].repository
        if not repository:
            return None
        known = PUBLISHED.get(self.name, Published())
        wanted = (*_CTRANSLATE2_FILES, PREPROCESSOR_FILE)
        return Origin(
            (Repository(repository, wanted, revision=known.revision),),
            known.packages,
            hashes=known.hashes,
        )

    @property
    def needs(self) -> str:
        """See `FileSet.needs`."""
        return ", ".join(self._needed)

    @property
    def by_hand(self) -> str:
        """See `FileSet.by_hand`."""
        if self.name in MODELS and not self.origin:
            return f"it ships with Longhand: restore models/{self.name} from its repository"
        return super().by_hand

    def missing(self, folder: Path) -> list[str]:
        """See `FileSet.missing`."""
        return lacking(folder, *self._needed)

    @property
    def _needed(self) -> tuple[str, ...]:
        # Without it the spectrogram would have 80 rows, and these models need more.
        has_more_mels = MODELS[self.name].n_mels != 80
        return (*_CTRANSLATE2_FILES, PREPROCESSOR_FILE) if has_more_mels else _CTRANSLATE2_FILES

    def weights_file(self, folder: Path) -> Path | None:
        """The file of weights in the model's folder."""
        return folder / WEIGHTS_FILE


class CheckpointFiles(FileSet):
    """A checkpoint: the form of openai-whisper. That of the demo model is `compact.pt`."""

    @property
    def origin(self) -> Origin | None:
        """See `FileSet.origin`; only openai-whisper itself knows the addresses."""
        openai_name = MODELS[self.name].openai_name
        try:
            from whisper import _MODELS  # it has no public list of the addresses
        except ImportError:
            return None
        if openai_name not in _MODELS:
            return None
        address = _MODELS[openai_name]
        sha256 = urlsplit(address).path.split("/")[-2]
        return Origin(address=address, hashes={f"{self.name}.pt": sha256})

    @property
    def needs(self) -> str:
        """See `FileSet.needs`."""
        return f"{self.name}.pt as openai-whisper has it, or {', '.join(_CTRANSLATE2_FILES)}"

    def missing(self, folder: Path) -> list[str]:
        """See `FileSet.missing`."""
        return [] if self.weights_file(folder) else [f"{self.name}.pt"]

    @property
    def made_from(self) -> CTranslate2Files:
        """See `FileSet.made_from`."""
        return CTranslate2Files(self.name)

    def convert(self, source: Path, part: Path) -> None:
        """See `FileSet.convert`; the description says that the checkpoint is a copy."""
        from worker.models.conversion.checkpoint import write_checkpoint

        target = part / f"{self.name}.pt"
        try:
            write_checkpoint(source, target)
        except NotConvertible as error:
            raise NotConvertible(f"{source / WEIGHTS_FILE}: {error}") from error
        except ImportError as error:
            raise NotConvertible(
                f"to convert it takes openai-whisper ({error}); install the extra `whisper`"
            ) from error
        files = {target.name: replace(mark(target), made_from=WEIGHTS_FILE)}
        try:
            noted = read_manifest(source)
        except ValueError:  # the copy works all the same
            noted = Manifest()
        write_manifest(part, Manifest(self.name, noted.revision, files, source=noted.source))

    def read_path(self, folder: Path) -> Path:
        """See `FileSet.read_path`: the checkpoint; for a compact one, its folder."""
        weights = self.weights_file(folder)
        return folder if weights is None or weights.name == COMPACT_FILE else weights

    def weights_file(self, folder: Path) -> Path | None:
        """The checkpoint in the model's folder, or None."""
        return checkpoint_in(folder, self.name)


class WhisperFiles(CTranslate2Files):
    """The files of a Whisper model in any form: for lists and checks."""

    def missing(self, folder: Path) -> list[str]:
        """See `FileSet.missing`."""
        return [] if checkpoint_in(folder, self.name) else super().missing(folder)


def whisper_files(name: str, form: Form) -> CTranslate2Files | CheckpointFiles:
    """A Whisper model's files in the form that an engine reads."""
    return CheckpointFiles(name) if form == "checkpoint" else CTranslate2Files(name)


def checkpoint_in(folder: Path, name: str) -> Path | None:
    """The checkpoint in a model's folder, or None."""
    return next((p for p in (folder / COMPACT_FILE, folder / f"{name}.pt") if p.is_file()), None)
