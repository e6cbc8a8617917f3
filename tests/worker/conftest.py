"""What these tests share; see the modules."""

from aligned import aligner, audio_of, said
from attempts import jobs, redis, settings, submit
from batches import open_batcher
from dialogs import diarizer, source, three, two
from sites import clips, models, open_site, usual_site

__all__ = [
    "aligner", "audio_of", "clips", "diarizer", "jobs", "models", "open_batcher", "open_site",
    "redis", "said", "settings", "source", "submit", "three", "two", "usual_site",
]  # fmt: skip
