"""What these tests share; see `sites`."""

from sites import clips, models, open_site

__all__ = ["clips", "models", "open_site"]
