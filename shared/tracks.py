"""Whether a recording has the tracks and channels that a request needs."""

from __future__ import annotations

from shared.errors import InvalidRequest

MOST_CHANNELS = 8
"""The most channels that are transcribed one by one: a conference or a 7.1 film has no more."""


def check_track(track: int, n_tracks: int) -> None:
    """
    Refuse a track that the recording does not have.

    Raises:
        InvalidRequest: There is no such track; the message says how many there are.

    >>> check_track(3, 2)
    Traceback (most recent call last):
    shared.errors.InvalidRequest: audio_track is 3; the recording has 2 audio tracks
    """
    if track > n_tracks:
        tracks = "1 audio track" if n_tracks == 1 else f"{n_tracks} audio tracks"
        raise InvalidRequest(
            f"audio_track is {track}; the recording has {tracks}", param="audio_track"
        )


def check_channels(n_channels: int) -> None:
    """
    Refuse to transcribe too many channels one by one.

    Raises:
        InvalidRequest: There are too many; the message says how many are allowed.
    """
    if n_channels > MOST_CHANNELS:
        raise InvalidRequest(
            f"the recording has {n_channels} channels; multichannel=true takes {MOST_CHANNELS} "
            "at most (MOST_CHANNELS in shared/tracks.py); leave it out to have them mixed",
            param="multichannel",
        )
