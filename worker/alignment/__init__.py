"""When words are said: a CTC model finds the letters of a text that is known already."""

from worker.alignment.aligner import Aligner
from worker.alignment.opening import open_aligner
from worker.alignment.values import AlignmentOptions
from worker.models.alignment_catalogue import aligner_name

__all__ = ["Aligner", "AlignmentOptions", "aligner_name", "open_aligner"]
