"""
Breaks copies of the checkout on purpose, one thing each, and shows that a test notices.

`make test-deploy-breakages`, or with NAME=… one of them; `tools/test_deploy` brings the daemon.
That the same tests pass on what is not broken is what `make test-deploy` shows.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(Path(__file__).parent)]

from deployment import copy_checkout  # noqa: E402

UP_DEADLINE_S = 60
_TEST_DEADLINE_S = 600


@dataclass(frozen=True)
class Breakage:
    """
    One thing done wrong.

    Attributes:
        old: What stands in `file`; it is replaced by `new`.
        test: What has to fail, as `file::test`.
        sign: What its failure has to say, so that it fails for this reason; where a slow
            machine says another thing, both, with ` | ` between.
    """

    name: str
    file: str
    old: str
    new: str
    test: str
    sign: str


BREAKAGES = (
    Breakage(
        "no-password",
        "deploy/nginx/password.conf",
        "auth_request /_auth;",
        "allow all;",
        "test_site.py::test_nobody_is_let_in_without_the_right_password",
        "assert [200, 200, 200] == [401, 401, 200]",
    ),
    Breakage(
        "wrong-upstream",
        "deploy/nginx/nginx.conf",
        "gateway:8499",
        "gateway:8498",
        "test_site.py::test_nobody_is_let_in_without_the_right_password",
        "assert [401, 401, 502] == [401, 401, 200]",
    ),
    Breakage(
        "worker-on-front",
        "compose.yaml",
        "networks: [back, downloads]",
        "networks: [front, back, downloads]",
        "test_hardening.py::test_only_nginx_and_the_gateways_answer_on_the_front_network",
        "Extra items in the left set",
    ),
    Breakage(
        "redis-on-front",
        "compose.yaml",
        "    networks: [back]\n    mem_limit: 1g",
        "    networks: [front, back]\n    mem_limit: 1g",
        "test_hardening.py::test_only_nginx_and_the_gateways_answer_on_the_front_network",
        "redis:6379",
    ),
    Breakage(
        "nothing-kept-by-redis",
        "deploy/redis/redis.conf",
        "appendonly yes",
        "appendonly no",
        "test_site.py::test_no_accepted_job_is_lost_when_redis_is_stopped_and_started",
        "job_not_found",
    ),
    Breakage(
        "redis-published",
        "compose.yaml",
        "    networks: [back]\n    mem_limit: 1g",
        "    networks: [back]\n    ports: ['127.0.0.1:6379:6379']\n    mem_limit: 1g",
        "test_config.py::test_nobody_but_nginx_publishes_a_port_unasked",
        "assert {'redis'} == set()",
    ),
    Breakage(
        "copy-forgotten",
        "deploy/docker/worker.Dockerfile",
        "COPY shared shared\n",
        "",
        "test_site.py::test_nobody_is_let_in_without_the_right_password",
        "No module named 'shared'",
    ),
    Breakage(
        "wrong-redis-url",
        "compose.yaml",
        "@${LONGHAND_REDIS_HOST:-redis}:",
        "@${LONGHAND_REDIS_HOST:-rediss}:",
        "test_site.py::test_nobody_is_let_in_without_the_right_password",
        "application not healthy after | ('degraded', 0) == ('healthy', 3)",
    ),
    Breakage(
        "models-in-no-volume",
        "compose.yaml",
        "      - models:/var/lib/longhand/models\n",
        "",
        "test_site.py::test_real_weights_write_the_same_text_in_containers_as_outside",
        "Read-only file system",
    ),
    Breakage(
        "no-grace-period",
        "compose.yaml",
        "stop_grace_period: ${LONGHAND_DRAIN:-10m}",
        "stop_grace_period: 0s",
        "test_site.py::test_a_new_image_of_the_worker_takes_over_without_losing_a_job",
        "== {1}",
    ),
    Breakage(
        # In every program: the gateway reaps too, with its own setting.
        "one-attempt-only",
        "shared/settings.py",
        "max_attempts: int = Field(\n        3,",
        "max_attempts: int = Field(\n        1,",
        "test_site.py::test_a_job_whose_worker_is_killed_is_done_by_another",
        "worker_lost",
    ),
    Breakage(
        "nginx-limit-below-the-gateways",
        "deploy/nginx/server.conf",
        "client_max_body_size 1g;",
        "client_max_body_size 1m;",
        "test_site.py::test_the_gateways_own_answer_refuses_a_body_that_is_too_large",
        "the body is larger than this site takes",
    ),
    Breakage(
        "root-may-be-written",
        "compose.yaml",
        "read_only: true\n  cap_drop",
        "read_only: false\n  cap_drop",
        "test_hardening.py::test_no_container_runs_as_root_or_may_change_its_root",
        "assert False is True",
    ),
    Breakage(
        "gateway-is-root",
        "deploy/docker/gateway.Dockerfile",
        "USER 10001:10001\n",
        "",
        "test_images.py::test_an_image_runs_as_a_user_who_is_not_root[gateway]",
        "assert '' == '10001:10001'",
    ),
    Breakage(
        "callers-name-themselves",
        "deploy/nginx/proxy.conf",
        "proxy_set_header X-Remote-User $passed_owner;\n",
        "",
        "test_site.py::test_users_have_jobs_of_their_own_whatever_name_they_send",
        "assert 200 == 404",
    ),
    Breakage(
        "keys-not-asked-about",
        "deploy/nginx/password.conf",
        "auth_request /_auth;",
        "",
        "test_keys_and_events.py::test_a_key_or_a_password_lets_in_and_nothing_else_does",
        "assert [200, 401, 401, 401, 401, 401] == [200, 200, 200, 200, 200, 200]",
    ),
    Breakage(
        "events-sent-to-the-gateway",
        "deploy/nginx/nginx.conf",
        "~^[^:]*:/jobs/[^/]+/events$       live:8500;",
        "~^[^:]*:/jobs/[^/]+/events$       gateway:8499;",
        "test_keys_and_events.py::test_events_come_through_nginx_as_they_happen",
        "1 events: still False",
    ),
    Breakage(
        "queries-logged",
        "deploy/nginx/nginx.conf",
        "$request_method $uri '",
        "$request_method $request_uri '",
        "test_nginx.py::test_no_query_is_logged_where_a_key_may_stand_in_it",
        "lh_key",
    ),
    Breakage(
        "everything-sent-to-the-builder",
        ".dockerignore",
        "\n*\n",
        "\n",
        "test_images.py::test_what_only_a_checkout_holds_never_reaches_the_builder",
        "'.env'",
    ),
)


def notices(breakage: Breakage) -> str:
    """Break a copy and run the test; "" if it fails as it should, else what went wrong."""
    with tempfile.TemporaryDirectory(prefix="longhand-broken-") as name:
        copy = Path(name)
        copy_checkout(ROOT, copy)
        file = copy / breakage.file
        text = file.read_text()
        if breakage.old not in text:
            return f"{breakage.file} no longer holds {breakage.old!r}"
        file.write_text(text.replace(breakage.old, breakage.new))
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-m", "deploy", f"--checkout={copy}", "-x", "-vv"]
            + [f"--up-deadline={UP_DEADLINE_S}", f"tests/deploy/{breakage.test}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=_TEST_DEADLINE_S,
        )
    if done.returncode != 1:
        return f"pytest ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-1000:]}"
    if not any(sign in done.stdout + done.stderr for sign in breakage.sign.split(" | ")):
        return f"it failed without saying {breakage.sign!r}:\n{done.stdout[-5000:]}"
    return ""


def main() -> int:
    """Go through those named, or all; the exit status."""
    wanted = [b for b in BREAKAGES if b.name in sys.argv[1:] or len(sys.argv) == 1]
    unknown = set(sys.argv[1:]) - {b.name for b in BREAKAGES}
    if unknown:
        print(f"no breakage is called {unknown}; there is {', '.join(b.name for b in BREAKAGES)}")
        return 2
    n_missed = 0
    for breakage in wanted:
        started = time.monotonic()
        problem = notices(breakage)
        n_missed += bool(problem)
        verdict = "NOT NOTICED" if problem else "noticed"
        took_s = time.monotonic() - started
        print(f"{verdict:11} {breakage.name:32} {took_s:4.0f} s  {breakage.test}", flush=True)
        if problem:
            print(problem, flush=True)
    print(f"{len(wanted) - n_missed} of {len(wanted)} breakages were noticed")
    return 1 if n_missed else 0


if __name__ == "__main__":
    sys.exit(main())
