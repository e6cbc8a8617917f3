"""Whose key shows what: jobs to their owner alone, the whole site to admins."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from callers import NOBODYS, PROXY, bearer, listed
from flask.testing import FlaskClient
from gateway_errors import assert_error
from work import succeed, upload

from gateway.openapi.documented import documentation_of
from gateway.services import Services

MakeKey = Callable[..., str]


def job_routes(client: FlaskClient) -> list[tuple[str, str]]:
    """Every method and path that is about one job."""
    return sorted(
        (method, rule.rule)
        for rule in client.application.url_map.iter_rules()
        if "job_id" in rule.arguments
        for method in (rule.methods or set()) - {"OPTIONS"}
    )


BODIES: dict[str, dict[str, object]] = {"PATCH": {"json": {"label": "mine"}}}


@pytest.mark.parametrize("has_ended", [False, True])
def test_every_route_of_a_job_hides_it_from_another_key(
    site: FlaskClient, make_key: MakeKey, services: Services, speech: bytes, has_ended: bool
) -> None:
    mine, others = bearer(make_key("ann")), bearer(make_key("bob", "admin"))
    job_id = upload(site, speech, headers=mine).get_json()["job_id"]
    if has_ended:
        succeed(services, job_id)
    routes = job_routes(site)
    assert {("GET", "/jobs/<job_id>"), ("DELETE", "/jobs/<job_id>")} <= set(routes)

    for method, rule in routes:
        path = re.sub("<(?:[^>]*:)?job_id>", "{}", rule)
        body = BODIES.get(method, {})
        theirs = site.open(path.format(job_id), method=method, headers=others, **body)
        nobodys = site.open(path.format(NOBODYS), method=method, headers=others, **body)

        assert theirs.status_code == 404, (method, rule, theirs.get_data(as_text=True))
        said = theirs.get_data(as_text=True).replace(job_id, NOBODYS)
        assert said == nobodys.get_data(as_text=True), (method, rule)
    assert listed(site, mine) == [job_id]
    assert listed(site, others) == []


def test_what_concerns_the_whole_site_is_for_admins(site: FlaskClient, make_key: MakeKey) -> None:
    user, admin = bearer(make_key("bob")), bearer(make_key("root", "admin"))
    site.environ_base["REMOTE_ADDR"] = PROXY

    assert_error(site.post("/reload", headers=user), 403, "forbidden", "for admins")
    assert_error(
        site.post("/reload", headers={"X-Remote-User": "dan"}), 403, "forbidden", "for admins"
    )
    assert site.post("/reload").status_code == 401
    assert site.post("/reload", headers=admin).status_code == 200
    assert site.post("/reload", headers={"X-Remote-User": "ann"}).status_code == 200


def test_routes_that_concern_the_whole_site_say_so(client: FlaskClient) -> None:
    app = client.application
    access = {
        rule.rule: told.access
        for rule in app.url_map.iter_rules()
        if (told := documentation_of(app.view_functions[rule.endpoint]))
    }

    for path in ("/reload", "/metrics", "/queue/stats"):
        assert access.get(path, "admin") == "admin", path


def test_a_flushed_redis_opens_nothing(
    site: FlaskClient, make_key: MakeKey, services: Services, speech: bytes
) -> None:
    mine, others = bearer(make_key("ann")), bearer(make_key("bob"))
    job_id = upload(site, speech, headers=mine).get_json()["job_id"]
    services.redis.flushall()

    assert site.get("/jobs").status_code == 401
    assert site.get("/jobs", headers=bearer("lh_any")).status_code == 401
    assert site.get(f"/jobs/{job_id}", headers=others).status_code == 404
    assert site.post("/reload", headers=others).status_code == 403
