"""wav2vec2 CTC networks: the probability of each label in each frame of a waveform."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from worker.alignment.labels import Alphabet
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.models.alignment_catalogue import BUNDLES
from worker.models.alignment_files import bundle_weights
from worker.models.file_set import read_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor
    from torchaudio.pipelines import Wav2Vec2ASRBundle

_BUNDLE_STRIDE = 320
"""Samples from one frame to the next, in every bundle of torchaudio."""


class Network(Protocol):
    """
    A loaded network.

    Attributes:
        alphabet: The characters it can spell.
        frame_s: Seconds from one frame to the next.
        pads_exactly: Whether waveforms of different lengths give the same result in one batch as
            one by one.
    """

    alphabet: Alphabet
    frame_s: float
    pads_exactly: bool

    def log_probs(self, waveforms: Sequence[NDArray[np.float32]]) -> list[Tensor]:
        """
        Run the network.

        Args:
            waveforms: (n_samples,) float32 each, 16 kHz; of one length unless `pads_exactly`.

        Returns:
            (n_frames, n_labels) float32 log-probabilities for each, on the CPU.
        """
        ...


class PretrainedNetwork:
    """A `Wav2Vec2ForCTC` as transformers saves it: weights, config.json and vocab.json."""

    def __init__(self, folder: Path, device: str) -> None:
        from transformers import Wav2Vec2ForCTC

        model: Any = Wav2Vec2ForCTC.from_pretrained(str(folder), local_files_only=True)
        self._model = model.to(device).eval()
        self._device = device
        config = self._model.config
        self._normalizes = bool(
            read_json(folder / "preprocessor_config.json").get("do_normalize", True)
        )
        self.frame_s = config.inputs_to_logits_ratio / SAMPLE_RATE_HZ
        # Group norm takes its mean over the whole length, with the padding. Layer norm takes it
        # frame by frame, so that a mask hides the padding completely.
        self.pads_exactly = config.feat_extract_norm == "layer"
        tokens = read_json(folder / "tokenizer_config.json")
        self.alphabet = make_alphabet(
            read_json(folder / "vocab.json"),
            blank=config.pad_token_id,
            delimiter=str(tokens.get("word_delimiter_token") or "|"),
            n_labels=config.vocab_size,
        )

    def log_probs(self, waveforms: Sequence[NDArray[np.float32]]) -> list[Tensor]:
        """See `Network.log_probs`."""
        import torch
        from torch.nn.utils.rnn import pad_sequence

        waves = [torch.from_numpy(waveform) for waveform in waveforms]
        if self._normalizes:
            waves = [(w - w.mean()) / (w.var(correction=0) + 1e-7).sqrt() for w in waves]
        lengths = torch.tensor([len(wave) for wave in waves])
        with torch.inference_mode():
            padded = pad_sequence(waves, batch_first=True).to(self._device)
            mask = None
            if int(lengths.min()) < padded.shape[1]:
                mask = (torch.arange(padded.shape[1]) < lengths[:, None]).long().to(self._device)
            logits = self._model(padded, attention_mask=mask).logits
            frames = self._model._get_feat_extract_output_lengths(lengths).tolist()
            log_probs = logits.float().log_softmax(-1).cpu()
        return [row[:n] for row, n in zip(log_probs, frames, strict=True)]


class BundleNetwork:
    """
    A model that torchaudio knows by name.

    Args:
        weights: The path of the bundle's weights.
    """

    pads_exactly = False
    frame_s = _BUNDLE_STRIDE / SAMPLE_RATE_HZ

    def __init__(self, bundle: Wav2Vec2ASRBundle, weights: Path, device: str) -> None:
        # Given directory and name, torch finds the file and does not download it.
        where = {"model_dir": str(weights.parent), "file_name": weights.name}
        self._model = bundle.get_model(dl_kwargs=where).to(device).eval()
        self._device = device
        labels = bundle.get_labels()
        numbers = {label: number for number, label in enumerate(labels)}
        self.alphabet = make_alphabet(numbers, blank=0, delimiter="|", n_labels=len(labels))

    def log_probs(self, waveforms: Sequence[NDArray[np.float32]]) -> list[Tensor]:
        """See `Network.log_probs`."""
        import numpy as np
        import torch

        with torch.inference_mode():
            waves = torch.from_numpy(np.stack(waveforms)).to(self._device)
            logits, _ = self._model(waves)
            return list(logits.float().log_softmax(-1).cpu())


def open_network(name: str, folder: Path, device: str) -> Network:
    """Load the network whose files are in a folder."""
    weights = bundle_weights(folder)
    if name in BUNDLES and weights is not None:
        import torchaudio

        return BundleNetwork(getattr(torchaudio.pipelines, name), weights, device)
    return PretrainedNetwork(folder, device)


def make_alphabet(
    numbers: Mapping[str, int], *, blank: int, delimiter: str, n_labels: int
) -> Alphabet:
    """
    What a model's vocabulary can spell: its single characters, in either case.

    Names such as `<unk>` spell nothing; some models write the delimiter as a space.
    """
    delimiter_label = numbers.get(delimiter, numbers.get(" "))
    spelled = {
        character.lower(): number
        for character, number in numbers.items()
        if len(character) == 1 and number not in (blank, delimiter_label) and number < n_labels
    }
    return Alphabet(spelled, blank, delimiter_label, n_labels)


def find_labels(
    log_probs: Tensor, labels: Sequence[int], alphabet: Alphabet
) -> list[tuple[int, int, float]]:
    """
    Find the most probable frames of labels, in their order.

    Args:
        log_probs: (n_frames, n_labels), at least `Spelling.n_frames` frames.
        labels: The wildcard matches the most probable label of a frame.

    Returns:
        For each label: its first frame, the frame after its last, and its mean probability.
    """
    import torch
    from torchaudio.functional import forced_align

    anything = log_probs.max(dim=-1, keepdim=True).values
    wide = torch.cat([log_probs, anything], dim=-1)[None]
    with warnings.catch_warnings():
        # torchaudio 2.8 calls the function deprecated; 2.9 kept it.
        warnings.filterwarnings("ignore", message=".*forced_align has been deprecated")
        path, scores = forced_align(wide, torch.tensor([labels]), blank=alphabet.blank)
    found, frame = [], 0
    frame_scores = scores[0].exp().tolist()
    for label, run in groupby(path[0].tolist()):
        end = frame + sum(1 for _ in run)
        if label != alphabet.blank:
            found.append((frame, end, sum(frame_scores[frame:end]) / (end - frame)))
        frame = end
    return found
