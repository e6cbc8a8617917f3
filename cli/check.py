"""Checks the settings and this machine, and names the variable of each problem."""

from __future__ import annotations

import difflib

from pydantic import ValidationError
from redis.exceptions import RedisError

from cli.findings import Finding, find_in_worker
from cli.settings import own_settings
from gateway.access.keys import KeyFileError, read_keys
from gateway.settings import GatewaySettings
from shared.connections import connect_briefly
from shared.settings import SharedSettings, describe_problems, variable
from shared.storage import open_storage
from worker.settings import WorkerSettings

_CLASSES: tuple[type[SharedSettings], ...] = (GatewaySettings, WorkerSettings)


def look() -> list[Finding]:
    """All findings about the settings and this machine. Wrong settings come alone."""
    problems = [*_unknown_variables(), *_wrong_values()]
    if problems:
        return [Finding(problem) for problem in problems]
    settings = GatewaySettings()
    site = [*_unreachable(settings), *_shut_out(settings)]
    return [*(Finding(problem) for problem in site), *find_in_worker(WorkerSettings())]


def _wrong_values() -> list[str]:
    problems: dict[str, None] = {}  # an ordered set
    for settings_class in _CLASSES:
        try:
            settings_class()
        except ValidationError as error:
            problems |= dict.fromkeys(describe_problems(error, settings_class))
    return list(problems)


def _unknown_variables() -> list[str]:
    known = [variable(name) for cls in _CLASSES for name in cls.model_fields]
    problems = []
    for name in sorted(set(map(str.upper, own_settings())) - set(known)):
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        problems.append(f"{name} is not a setting{hint}")
    return problems


def _unreachable(settings: SharedSettings) -> list[str]:
    problems = []
    try:
        with connect_briefly(settings.redis_url.get_secret_value()) as redis:
            redis.ping()
    except (RedisError, ValueError) as error:
        problems.append(f"LONGHAND_REDIS_URL: Redis does not answer: {error}")
    try:
        open_storage(settings.storage_dir).check()
    except OSError as error:
        problems.append(f"LONGHAND_STORAGE_DIR: storage cannot be written: {error}")
    return problems


def _shut_out(settings: GatewaySettings) -> list[str]:
    """Why every caller would be refused, if LONGHAND_AUTH is `keys` and nothing can match."""
    if settings.auth == "off":
        return []
    try:
        keys = read_keys(settings.api_keys_file)
    except (OSError, KeyFileError) as error:
        return [f"LONGHAND_API_KEYS_FILE: {error}"]
    if keys or settings.trusted_networks:
        return []
    return [
        f"LONGHAND_AUTH is keys, there are none in {settings.api_keys_file}, and no proxy is "
        "trusted: every caller is refused. `./longhand keys add NAME` makes a key"
    ]
