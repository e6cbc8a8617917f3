"""When words are said: a wav2vec2 CTC model listens for letters that are known already."""

from worker.alignment.aligner import Aligner, open_aligner
from worker.alignment.phrases import AlignmentOptions
from worker.models.alignment_catalogue import aligner_name
from worker.models.alignment_files import AlignerFiles

__all__ = ["AlignmentOptions", "Aligner", "AlignerFiles", "aligner_name", "open_aligner"]
