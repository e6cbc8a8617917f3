"""Audio of live callers: whatever its form, 16-bit mono samples at 16 kHz come out."""

from __future__ import annotations

import asyncio
import io
import math
import struct
import wave
from array import array

import av
import pytest

from gateway.live.audio.container import Decoding
from gateway.live.audio.kinds import container_kind
from gateway.live.audio.opening import open_audio
from gateway.live.audio.spec import AudioSpec
from shared.errors import AudioUnreadable, InvalidRequest, UnsupportedMedia

TONE_HZ = 440


def tone(rate_hz, seconds=1.0, amplitude=16_000):
    return array(
        "h",
        (
            round(amplitude * math.sin(2 * math.pi * TONE_HZ * n / rate_hz))
            for n in range(int(rate_hz * seconds))
        ),
    )


def heard(spec, pieces):
    """What comes out of audio that is written piece by piece."""

    async def go():
        out = bytearray()

        async def sink(pcm):
            out.extend(pcm)

        async with open_audio(spec, sink) as audio:
            for piece in pieces:
                await audio.write(piece)
            await audio.finish()
        return array("h", bytes(out))

    return asyncio.run(go())


def is_tone(samples, *, amplitude=16_000, seconds=1.0):
    """Whether this is `tone` at 16 kHz: its length, its height, and how often it crosses zero."""
    middle = samples[1600:-1600]
    crossings = sum(a < 0 <= b for a, b in zip(middle, middle[1:], strict=False))
    expected = TONE_HZ * len(middle) / 16_000
    return (
        abs(len(samples) - 16_000 * seconds) < 1600
        and abs(crossings - expected) <= 2
        and abs(max(middle) - amplitude) < amplitude * 0.1
    )


def cut(data, n_bytes):
    return [data[i : i + n_bytes] for i in range(0, len(data), n_bytes)]


def encoded(container, codec, rate_hz=48_000, seconds=1.0, **options):
    """The tone, as a file."""
    out = io.BytesIO()
    samples = tone(rate_hz, seconds)
    with av.open(out, "w", format=container, options=options) as writing:
        stream = writing.add_stream(codec, rate=rate_hz, layout="mono")
        stream.bit_rate = 64_000
        frame = av.AudioFrame("s16", "mono", len(samples))
        frame.planes[0].update(samples.tobytes().ljust(frame.planes[0].buffer_size, b"\0"))
        frame.sample_rate = rate_hz
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            writing.mux(packet)
    return out.getvalue()


def test_samples_as_workers_want_them_pass_untouched():
    data = bytes(range(256)) * 7

    assert heard(AudioSpec(), cut(data, 1)).tobytes() == data


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 44_100, 48_000])
def test_other_rates_are_resampled(rate_hz):
    assert is_tone(heard(AudioSpec("linear16", rate_hz), cut(tone(rate_hz).tobytes(), 999)))


def test_two_channels_are_mixed():
    left, right = tone(44_100, amplitude=20_000), tone(44_100, amplitude=12_000)
    both = array("h", (value for pair in zip(left, right, strict=True) for value in pair))

    assert is_tone(heard(AudioSpec("linear16", 44_100, 2), cut(both.tobytes(), 1001)))


def test_each_channel_may_have_a_sink_of_its_own():
    left, right = tone(44_100), array("h", [0]) * 44_100
    both = array("h", (value for pair in zip(left, right, strict=True) for value in pair))
    outs = [bytearray(), bytearray()]

    async def to_left(pcm):
        outs[0].extend(pcm)

    async def to_right(pcm):
        outs[1].extend(pcm)

    async def go():
        audio = open_audio(AudioSpec("linear16", 44_100, 2), to_left, to_right)
        await audio.write(both.tobytes())
        await audio.finish()

    asyncio.run(go())

    assert is_tone(array("h", bytes(outs[0])))
    assert len(outs[0]) == len(outs[1])
    assert set(outs[1]) == {0}


@pytest.mark.parametrize(
    ("encoding", "write"),
    [
        (
            "float32",
            lambda samples: struct.pack(f"<{len(samples)}f", *(v / 32768 for v in samples)),
        ),
        ("uint8", lambda samples: bytes((v >> 8) + 128 for v in samples)),
    ],
)
@pytest.mark.parametrize("n_bytes", [1, 1000])
def test_other_encodings_of_samples_are_read(encoding, write, n_bytes):
    assert is_tone(heard(AudioSpec(encoding, 8_000), cut(write(tone(8_000)), n_bytes)))


@pytest.mark.parametrize(("encoding", "codec"), [("mulaw", "pcm_mulaw"), ("alaw", "pcm_alaw")])
def test_telephone_encodings_are_read(encoding, codec):
    data = encoded("wav", codec, 8_000)
    samples = data[data.index(b"data") + 8 :][:8_000]

    assert is_tone(heard(AudioSpec(encoding, 8_000), cut(samples, 160)))


def test_opus_comes_packet_by_packet():
    with av.open(io.BytesIO(encoded("ogg", "libopus"))) as reading:
        packets = [bytes(packet) for packet in reading.demux() if packet.size]

    assert is_tone(heard(AudioSpec("opus", 48_000), packets))


def test_what_is_no_opus_is_told():
    with pytest.raises(AudioUnreadable, match="3 bytes is not opus audio"):
        heard(AudioSpec("opus", 48_000), [b"\xff\xff\xff"])


CONTAINERS = [
    ("wav", "pcm_s16le", {}),
    ("wav", "pcm_s24le", {}),
    ("ogg", "libopus", {}),
    ("webm", "libopus", {"live": "1"}),
    ("mp3", "libmp3lame", {}),
    ("flac", "flac", {}),
    ("adts", "aac", {}),
    ("mp4", "aac", {"movflags": "frag_keyframe+empty_moov"}),
]


@pytest.mark.parametrize(("container", "codec", "options"), CONTAINERS)
def test_containers_are_decoded_wherever_they_are_cut(container, codec, options):
    data = encoded(container, codec, **options)

    assert is_tone(heard(AudioSpec(None), cut(data, 97)))


def endless_wav(rate_hz=16_000):
    out = io.BytesIO()
    with wave.open(out, "wb") as writing:
        writing.setnchannels(1)
        writing.setsampwidth(2)
        writing.setframerate(rate_hz)
    return out.getvalue()


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_the_sizes_in_an_endless_wav_mean_nothing(size):
    header = endless_wav()[:-4] + struct.pack("<I", size)

    assert is_tone(heard(AudioSpec(None), cut(header + tone(16_000).tobytes(), 640)))


@pytest.mark.parametrize(("container", "codec"), [("wav", "pcm_s16le"), ("webm", "libopus")])
def test_audio_comes_out_while_more_is_awaited(container, codec):
    data = encoded(container, codec, 16_000)

    async def go():
        came, n_bytes = asyncio.Event(), 0

        async def sink(pcm):
            nonlocal n_bytes
            n_bytes += len(pcm)
            if n_bytes >= 8_000:
                came.set()

        async with open_audio(AudioSpec(None), sink) as audio:
            await audio.write(data[: len(data) * 2 // 3])
            await asyncio.wait_for(came.wait(), 30)

    asyncio.run(go())


def test_a_sink_that_waits_holds_the_caller():
    async def go():
        may_go, n_taken = asyncio.Event(), 0

        async def sink(pcm):
            nonlocal n_taken
            await may_go.wait()
            n_taken += len(pcm)

        minute = encoded("flac", "flac", seconds=60.0)
        async with open_audio(AudioSpec(None), sink) as audio:

            async def write_all():
                for piece in cut(minute, 16_000):
                    await audio.write(piece)
                await audio.finish()

            writing = asyncio.create_task(write_all())
            await asyncio.wait({writing}, timeout=2)
            was_held = not writing.done()
            may_go.set()
            await writing
        return was_held, n_taken

    was_held, n_taken = asyncio.run(go())

    assert was_held
    assert abs(n_taken - 60 * 32_000) < 3_200


def test_the_process_ends_with_its_caller():
    async def go():
        async def sink(pcm):
            pass

        decoding = Decoding("flac", sink)
        await decoding.write(encoded("flac", "flac"))
        process = decoding._process
        await decoding.close()
        return process.returncode

    assert asyncio.run(go()) is not None


@pytest.mark.parametrize(
    ("data", "error", "problem"),
    [
        (b"this is a text, no audio", UnsupportedMedia, "begins with b'this is a te', which is"),
        (b"", AudioUnreadable, "the audio is empty"),
        (b"RIFF\0\0\0\0WAVEdata" + bytes(99), AudioUnreadable, "before their form is told"),
        (b"RIFF\0\0\0\0WAVELIST" + b"\xff" * 99, AudioUnreadable, "first 64 KiB"),
        (b"OggS" + b"x" * 5000, AudioUnreadable, "ogg"),
        (b"fLaC" + bytes(5000), AudioUnreadable, "flac|broken|ended"),
    ],
)
def test_what_is_no_audio_is_told(data, error, problem):
    with pytest.raises(error, match=problem):
        heard(AudioSpec(None), [data])


@pytest.mark.parametrize(
    ("spec", "param", "problem"),
    [
        (AudioSpec("g729"), "encoding", "encoding is 'g729'; it must be one of linear16, "),
        (AudioSpec("linear16", 200), "sample_rate", "sample_rate is 200; it must be 4000 to 192"),
        (AudioSpec("linear16", 16_000, 6), "channels", "channels is 6; it must be 1 or 2"),
    ],
)
def test_a_form_that_cannot_be_read_is_refused(spec, param, problem):
    with pytest.raises(InvalidRequest, match=problem) as refused:
        open_audio(spec, None)

    assert refused.value.param == param


def test_a_first_byte_alike_does_not_make_aac_an_mp3():
    assert container_kind(b"\xff\xfb\x90\x00" + bytes(8)) == "mp3"
    assert container_kind(b"\xff\xf1\x50\x80" + bytes(8)) == "aac"
