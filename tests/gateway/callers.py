"""Who calls: by a key, through a proxy, or somebody else."""

from __future__ import annotations

from flask.testing import FlaskClient

PROXY = "198.18.84.7"
NOBODYS = "0" * 32


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def listed(client: FlaskClient, headers: dict[str, str]) -> list[str]:
    return [job["job_id"] for job in client.get("/jobs", headers=headers).get_json()["jobs"]]
