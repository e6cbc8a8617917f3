"""
What one live session says: words are committed once two hypotheses agree on them.

LocalAgreement-2 (Macháček, Dabre and Bojar, "Turning Whisper into Real-Time Transcription System",
2023), over a short buffer: audio whose words are committed is dropped at ends of sentences. Silence
ends an utterance, and commits all of it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from shared.live.request import LiveRequest
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.engines.live_decoder import Hypothesis, LiveDecoder, LiveTask
from worker.engines.timed_words import TimedWord
from worker.live.buffer import Buffer, KeptWord
from worker.live.guards import Speech, n_committed, plain, spoken_words, without_copies
from worker.live.messages import LiveAnswer, LiveFeed
from worker.live.policy import POLICIES, Asking, Heard, n_agreed, steady
from worker.live.said import Reason, Said
from worker.live.voice import BEGINS_S, SpeechEdges, VoiceStream
from worker.speech.voice_activity import WINDOW

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WINDOW_S = WINDOW / SAMPLE_RATE_HZ

_BEFORE_S = 0.5
"""Audio before the beginning of an utterance that belongs to it."""

_FINAL_BEAM = 5
_PADDING_S, _FINAL_PADDING_S = 1.0, 10.0
"""Silence after the audio: more at the end of an utterance, where all of it is committed."""

_LONGEST_S, _KEPT_S = 6.0, 2.0
"""A buffer longer than this is cut, so that about so much stays."""

_MOST_S = 20.0
"""A buffer in which nothing is agreed on for so long is committed as it is."""

_MOST_NEW_S = 6.0
"""The most audio that one step takes, if a lot has come."""

_SHORTEST_S = 0.15
_MISSED_S = 0.6
"""Speech after the last word: more shows that the model has stopped too early."""

_LOOKS, _STALLED_STEPS, _STALLED_S = 3, 2, 0.4
_NO_SPEECH_PROB, _CERTAIN, _CERTAIN_AFTER_S = 0.8, 0.6, 1.0


class Transcriber:
    """
    One live session. It has no connection to anything; whoever runs `hear` asks the model.

    Args:
        state: Of a session that goes on: see `LiveAnswer.state`.
    """

    def __init__(
        self, session_id: str, request: LiveRequest, decoder: LiveDecoder, state: str | None
    ) -> None:
        self._id = session_id
        self._request = request
        self._decoder = decoder
        self._policy = POLICIES[request.delay]
        known = json.loads(state) if state else {}
        self._said = Said(request, known.get("said"))
        self._buffer = Buffer(known.get("first", 0))
        self._buffer.words = [
            KeptWord(text, tuple(tokens), start, end)
            for text, tokens, start, end in known.get("words", [])
        ]
        self._edges = SpeechEdges(request.endpoint_s, known.get("speaking", False))
        self._known_to = known.get("heard", 0)
        self._stepped_at = self._buffer.first
        self._voice = VoiceStream()
        self._voice_first = self._buffer.first
        self._probs: list[float] = []
        self._previous: list[str] = []
        self._n_stalled = 0
        self._n_steps = 0
        self._language = request.language or (None if decoder.is_multilingual else "en")
        self._language = known.get("language", self._language)
        if not known and self._language:
            self._said.tell_language(self._language, 1.0)
        self._fixed = self._tokens(request.hotwords or "")

    def hear(self, feed: LiveFeed) -> Asking:
        """Take what has come. Afterwards `answer` gives what is new."""
        pcm = np.frombuffer(feed.pcm, "<i2").astype(np.float32) / 32768.0
        # After a failure audio may come that is known already, or some may be lost.
        at = self._buffer.end
        lost = np.zeros(max(0, feed.start - at), np.float32)
        samples = np.concatenate([lost, pcm[max(0, at - feed.start) :]])
        for sample, ask in feed.asks:
            n_before = max(0, sample - at)
            yield from self._take(samples[:n_before])
            samples, at = samples[n_before:], at + len(samples[:n_before])
            yield from self._finish("flush" if ask == "flush" else "utterance")
            if ask == "flush":
                self._said.count_flush()
        yield from self._take(samples)
        new_s = (self._buffer.end - self._stepped_at) / SAMPLE_RATE_HZ
        if self._edges.is_speaking and new_s >= self._policy.step_s:
            yield from self._step()

    def answer(self) -> LiveAnswer:
        """What is new since the answer before."""
        buffer, n_steps = self._buffer, self._n_steps
        self._n_steps = 0
        state = {
            "first": buffer.first,
            "heard": buffer.end,
            "words": [[w.text, w.tokens, w.start, w.end] for w in buffer.words],
            "speaking": self._edges.is_speaking,
            "language": self._language,
            "said": self._said.state(),
        }
        update = self._said.update(buffer.end / SAMPLE_RATE_HZ)
        return LiveAnswer(self._id, update, json.dumps(state), buffer.first, n_steps)

    def _take(self, samples: NDArray[np.float32]) -> Asking:
        """Take audio: begin and end utterances where the voice does."""
        buffer = self._buffer
        at = self._voice_first + len(self._probs) * WINDOW
        buffer.add(samples)
        for prob in self._voice.hear(samples):
            self._probs.append(prob)
            at += WINDOW
            # An utterance begins with silence, which must not end it when it is heard again.
            edge = self._edges.next(prob, is_known=at <= self._known_to)
            if edge == "start":
                self._begin(at)
            elif edge == "end" or (
                self._edges.is_speaking and at - self._stepped_at >= _MOST_NEW_S * SAMPLE_RATE_HZ
            ):
                rest = buffer.split(at)
                if edge == "end":
                    yield from self._finish("utterance", at)
                else:
                    yield from self._step()
                buffer.add(rest)
        if not self._edges.is_speaking:
            buffer.drop_before(buffer.end - int((_BEFORE_S + BEGINS_S) * SAMPLE_RATE_HZ))
            self._forget()

    def _begin(self, sample: int) -> None:
        began = sample - int(BEGINS_S * SAMPLE_RATE_HZ)
        self._said.mark(began / SAMPLE_RATE_HZ, is_start=True)
        self._buffer.drop_before(began - int(_BEFORE_S * SAMPLE_RATE_HZ))
        self._stepped_at = began

    def _finish(self, reason: Reason, silent_at: int | None = None) -> Asking:
        """Commit all that is in the buffer, and end the segment."""
        buffer = self._buffer
        has_speech = self._edges.is_speaking or silent_at is not None
        if has_speech and buffer.duration_s >= _SHORTEST_S:
            yield from self._step(is_final=True)
        self._said.end_segment(reason, self._language)
        self._said.tail = ()
        if silent_at is not None:
            ended_s = silent_at / SAMPLE_RATE_HZ - self._edges.silence_s
            self._said.mark(ended_s, is_start=False)
        if has_speech:
            buffer.clear(buffer.end)
        self._previous, self._n_stalled, self._stepped_at = [], 0, buffer.end
        self._forget()

    def _step(self, *, is_final: bool = False) -> Asking:
        """Decode the buffer, and commit what is certain; at the end of an utterance, all."""
        buffer = self._buffer
        self._stepped_at = buffer.end
        new: list[TimedWord] = []
        tokens: list[tuple[int, ...]] = []
        for _ in range(_LOOKS):
            heard = yield self._task(is_final)
            self._n_steps += 1
            self._note_language(heard.hypothesis)
            if self._is_silence(heard.hypothesis, is_final):
                self._said.tail, self._previous = (), []
                return
            new, tokens, has_missed = self._new_words(heard, is_final)
            if not has_missed:
                break
            if is_final:
                self._commit(new, tokens)
                new, tokens = [], []
            self._previous = []
            if not buffer.words:
                break
            buffer.cut_after(len(buffer.words) - 1)
            if buffer.duration_s <= 0.3:
                break
        n_certain = len(new)
        if not is_final:
            n_certain = n_agreed(new, self._previous, buffer.duration_s, self._policy)
        self._commit(new[:n_certain], tokens[:n_certain])
        tail = new[n_certain:]
        self._said.show(steady(tail, buffer.duration_s), buffer.start_s, self._language)
        self._previous = [plain(word.word) for word in tail]
        if not is_final:
            yield from self._shorten(has_new=bool(new))

    def _task(self, is_final: bool) -> LiveTask:
        beam = _FINAL_BEAM if is_final else self._policy.beam_size
        prompt = (*self._fixed, *self._tokens(self._said.before(self._buffer.words)))
        return LiveTask(
            self._buffer.samples, self._language, self._request.task, self._buffer.prefix,
            prompt, beam, _FINAL_PADDING_S if is_final else _PADDING_S,
        )  # fmt: skip

    def _new_words(
        self, heard: Heard, is_final: bool
    ) -> tuple[list[TimedWord], list[tuple[int, ...]], bool]:
        """The words after the committed ones, their tokens; and whether some speech has none."""
        buffer, n_prefix = self._buffer, len(self._buffer.prefix)
        first_s = self._voice_first / SAMPLE_RATE_HZ - buffer.start_s
        speech = Speech(self._probs, _WINDOW_S, first_s)
        words = spoken_words(heard.words, n_prefix, buffer.duration_s, speech)
        buffer.retime(words)
        new, tokens = self._after_prefix(words, heard.hypothesis.tokens, n_prefix)
        ended_s = max((word.end for word in words), default=0.0)
        missed = bool(words) and speech.after(ended_s + 0.1) > _MISSED_S
        kept = without_copies(new)
        return kept, tokens[: len(kept)], missed and (is_final or not new)

    def _after_prefix(
        self, words: Sequence[TimedWord], tokens: Sequence[int], n_prefix: int
    ) -> tuple[list[TimedWord], list[tuple[int, ...]]]:
        first = n_committed(words, n_prefix)
        at = sum(word.n_tokens for word in words[:first])
        new, own = [], []
        if at > n_prefix:  # a committed word has grown: its end is a word of its own
            grown = words[first - 1]
            rest = tuple(tokens[n_prefix:at])
            text = self._decoder.decode_text(rest)
            new.append(TimedWord(text, len(rest), grown.start, grown.end, grown.probability))
            own.append(rest)
        for word in words[first:]:
            new.append(word)
            own.append(tuple(tokens[at : at + word.n_tokens]))
            at += word.n_tokens
        return new, own

    def _commit(self, words: Sequence[TimedWord], tokens: Sequence[tuple[int, ...]]) -> None:
        self._said.commit(words, self._buffer.start_s, self._language)
        self._buffer.words += [
            KeptWord(word.word, own, word.start, word.end)
            for word, own in zip(words, tokens, strict=True)
        ]

    def _shorten(self, *, has_new: bool) -> Asking:
        """Drop audio whose words are committed."""
        buffer = self._buffer
        self._n_stalled = 0 if has_new else self._n_stalled + 1
        end = buffer.sentence_end()
        if end is not None:
            n_after = len(buffer.words) - end - 1
            self._said.end_segment("sentence", self._language, n_after)
            buffer.cut_after(end)
        is_stalled = self._n_stalled >= _STALLED_STEPS and bool(buffer.words)
        if is_stalled and buffer.duration_s - buffer.words[-1].end > _STALLED_S:
            buffer.cut_after(len(buffer.words) - 1)
        place = buffer.cut_place(_LONGEST_S, _KEPT_S)
        if place is not None:
            self._said.end_long_segment(self._language, len(buffer.words) - place - 1)
            buffer.cut_after(place)
        elif buffer.duration_s > _MOST_S:
            yield from self._finish("sentence")
        self._forget()

    def _is_silence(self, hypothesis: Hypothesis, is_final: bool) -> bool:
        is_likely = hypothesis.no_speech_prob > _NO_SPEECH_PROB
        return is_likely and not is_final and not self._buffer.words

    def _note_language(self, hypothesis: Hypothesis) -> None:
        """Keep to a language once it is certain."""
        guess = hypothesis.language
        is_certain = guess.probability >= _CERTAIN and self._buffer.duration_s >= _CERTAIN_AFTER_S
        if self._language is None and is_certain:
            self._language = guess.language
            self._said.tell_language(guess.language, guess.probability)

    def _forget(self) -> None:
        """Forget where the voice was before the buffer."""
        n_windows = (self._buffer.first - self._voice_first) // WINDOW - 1
        if n_windows > 0:
            self._probs = self._probs[n_windows:]
            self._voice_first += n_windows * WINDOW

    def _tokens(self, text: str) -> tuple[int, ...]:
        return self._decoder.encode_text(f" {text.strip()}") if text.strip() else ()
