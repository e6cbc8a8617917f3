"""Decodes a track to disk: read once, and a second time if its channels or level need it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from io import SEEK_CUR
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

import av
import numpy as np

from shared.errors import AudioUnreadable
from shared.sound_clock import SILENT_BELOW, in_order_of_choice
from shared.tracks import check_channels, check_track
from worker.audio.constants import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ
from worker.audio.frames import Run, resampled, runs
from worker.audio.levels import Levels, Mix, choose_mix, level_each

if TYPE_CHECKING:
    from av.container import InputContainer
    from numpy.typing import NDArray

    from worker.audio.frames import Samples

_ONLY_FILES = {"protocol_whitelist": "file"}
"""A playlist that is named like a recording must fetch nothing."""

_Report = Callable[[float], None]
_Pieces = Iterator["NDArray[np.int16]"]
"""The samples to write, piece by piece: (n_samples, n_files) int16."""


class _Output(Protocol):
    """How channels are written to files."""

    paths: list[Path]

    def listen(self, levels: Levels, run: Run) -> _Pieces:
        """Yield a run without any gain, and measure its levels."""
        ...

    def choose(self, levels: Levels) -> Mix:
        """Choose the mix, from the levels."""
        ...

    def again(self, mix: Mix, run: Run) -> _Pieces:
        """Yield a run with that mix."""
        ...


def write_mix(path: Path, scratch: Path, track: int | None, report: _Report) -> int:
    """Write a track to `scratch`, its channels mixed into one; returns the number of samples."""
    _, n_samples = _write(path, track, lambda: _Mixed(scratch), report)
    return n_samples


def write_channels(
    path: Path, scratch: Path, track: int | None, report: _Report
) -> tuple[list[Path], int]:
    """Write each channel of a track to a file; returns the files and the samples in each."""
    return _write(path, track, lambda: _Apart(scratch), report)


class _Mixed:
    """All channels in one file."""

    def __init__(self, scratch: Path) -> None:
        self.paths = [scratch]

    def listen(self, levels: Levels, run: Run) -> _Pieces:
        if run.n_channels > 2 and run.layout.name.endswith(" channels"):
            # FFmpeg would take them for loudspeakers around a listener; they are microphones.
            for (exact,) in resampled(run, ("flt", run.layout)):
                levels.add(exact)
                yield _as_int16(exact.mean(axis=1, keepdims=True))
            return
        for exact, plain in _in_both(run, self._measured(run), "mono", run.n_channels == 1):
            levels.add(exact)
            yield plain

    def choose(self, levels: Levels) -> Mix:
        return choose_mix(levels)

    def again(self, mix: Mix, run: Run) -> _Pieces:
        for (exact,) in resampled(run, ("flt", self._measured(run))):
            yield _as_int16(mix.apply(exact))

    def _measured(self, run: Run) -> Any:
        """The layout that is measured; surround sound is mixed by FFmpeg first."""
        is_around = run.n_channels > 2 and not run.layout.name.endswith(" channels")
        return "mono" if is_around else run.layout


class _Apart:
    """Each channel in a file of its own; their number is that at the beginning of the track."""

    def __init__(self, scratch: Path) -> None:
        self.paths: list[Path] = []
        self._scratch = scratch
        self._layout: Any = None

    def listen(self, levels: Levels, run: Run) -> _Pieces:
        self._begin(run)
        for exact, plain in _in_both(run, self._layout, self._layout, True):
            levels.add(exact)
            yield plain

    def choose(self, levels: Levels) -> Mix:
        return level_each(levels)

    def again(self, mix: Mix, run: Run) -> _Pieces:
        for (exact,) in resampled(run, ("flt", self._layout)):
            yield _as_int16(mix.apply(exact))

    def _begin(self, run: Run) -> None:
        if self._layout is not None:
            return
        check_channels(run.n_channels)
        self._layout = run.layout
        name = self._scratch.with_suffix
        self.paths += [name(f".{n}{self._scratch.suffix}") for n in range(run.n_channels)]


def _in_both(
    run: Run, exact_layout: Any, plain_layout: Any, are_alike: bool
) -> Iterator[tuple[Samples, NDArray[np.int16]]]:
    """Yield a run as it is measured and as it is written; resampled once if both are alike."""
    if run.is_in_16_bits and are_alike:
        for (plain,) in resampled(run, ("s16", plain_layout)):
            yield (plain / 32768).astype(np.float32), plain
        return
    for exact, plain in resampled(run, ("flt", exact_layout), ("s16", plain_layout)):
        yield exact, plain


def _as_int16(samples: Samples) -> NDArray[np.int16]:
    return np.clip(np.rint(samples * 32768), -32768, 32767).astype("<i2")


def _write(
    path: Path, track: int | None, make_output: Callable[[], _Output], report: _Report
) -> tuple[list[Path], int]:
    """Write the chosen track, or the first that is not silent, or the first if all are."""
    tracks = _tracks(path, track)
    for n, index in enumerate([*tracks, tracks[0]], 1):
        output, levels = make_output(), Levels()
        try:
            n_samples = _pass(path, index, output, partial(output.listen, levels), report)
        except AudioUnreadable:
            if n > len(tracks) or len(tracks) == 1:
                raise
            continue
        mix = output.choose(levels)
        if len(tracks) == 1 or levels.peak > SILENT_BELOW:
            break
    if not mix.is_plain:
        _pass(path, index, output, partial(output.again, mix), lambda fraction: report(1.0))
    return output.paths, n_samples


def _tracks(path: Path, track: int | None) -> list[int]:
    """The indexes of the tracks to try, the likeliest first; only the chosen one if one is."""
    with _open(path) as container:
        streams = container.streams.audio
        if not streams:
            raise AudioUnreadable("the file holds no audio stream")
        if track is not None:
            check_track(track, len(streams))
            return [streams[track - 1].index]
        return [stream.index for stream in in_order_of_choice(streams)]


def _pass(
    path: Path, index: int, output: _Output, pieces: Callable[[Run], _Pieces], report: _Report
) -> int:
    """Read a whole track and write it; returns the number of samples."""
    with ExitStack() as opened:
        container, files = opened.enter_context(_open(path)), _Files(opened)
        try:
            for run in runs(container, container.streams[index], path.stat().st_size, report):
                files.skip(round(run.silence_s * SAMPLE_RATE_HZ))
                for piece in pieces(run):
                    files.write(output.paths, piece)
        except av.FFmpegError as error:
            if not files.n_samples:
                raise AudioUnreadable(f"the audio cannot be decoded: {error}") from error
    if not files.n_samples:
        raise AudioUnreadable("the audio holds no samples")
    return files.n_samples


class _Files:
    """Files of equal length. Silence that is skipped takes no room on the disk."""

    def __init__(self, opened: ExitStack) -> None:
        self._opened = opened
        self._files: list[IO[bytes]] = []
        self._n_due = 0
        self.n_samples = 0

    def skip(self, n_samples: int) -> None:
        self._n_due += n_samples

    def write(self, paths: Sequence[Path], piece: NDArray[np.int16]) -> None:
        if not len(piece):
            return
        self._files = self._files or [self._opened.enter_context(p.open("wb")) for p in paths]
        for file, channel in zip(self._files, piece.T, strict=True):
            if self._n_due:
                file.seek(self._n_due * BYTES_PER_SAMPLE, SEEK_CUR)
            file.write(channel.tobytes())
        self.n_samples += self._n_due + len(piece)
        self._n_due = 0


def _open(path: Path) -> InputContainer:
    try:
        return av.open(str(path), options=_ONLY_FILES)
    except UnicodeDecodeError:  # PyAV before 19 reads tags as UTF-8, but many old files are Latin-1
        return av.open(str(path), options=_ONLY_FILES, metadata_encoding="latin-1")
    except av.FFmpegError as error:
        raise AudioUnreadable(f"the audio cannot be decoded: {error}") from error
