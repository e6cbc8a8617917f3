"""When words are said: a wav2vec2 CTC model listens for letters that are known already."""

from worker.alignment.aligner import Aligner, open_aligner
from worker.alignment.catalogue import aligner_name
from worker.alignment.files import AlignerFiles
from worker.alignment.phrases import AlignOptions

__all__ = ["AlignOptions", "Aligner", "AlignerFiles", "aligner_name", "open_aligner"]
