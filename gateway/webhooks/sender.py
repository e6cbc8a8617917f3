"""
Sends webhook messages: when a job has ended, a signed message goes to its `callback_url`.

Messages are signed as https://www.standardwebhooks.com specifies. Each is sent at least once; a
receiver recognises a repeated one by its `webhook-id`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from redis import Redis
from redis.exceptions import RedisError
from standardwebhooks import Webhook

from gateway.answering.shapes.deliveries import Outcome
from gateway.outward.addresses import Address, AddressRefused, parse_address
from gateway.outward.dialing import Deadline, Dialer, DialFailed, Outgoing
from gateway.outward.reachable import Resolve, resolve_by_system
from gateway.outward.settings import OutwardSettings
from gateway.webhooks.due import DueMessages, Try
from gateway.webhooks.messages import Message, write_message
from shared.errors import JobNotFound
from shared.jobs import Jobs
from shared.jobs.messages import Taken
from shared.logs import job_logged
from shared.records import JobRecord

SCHEDULE_S: Sequence[float] = (0, 30, 120, 600, 3600)
"""Seconds from one try to the next."""

_EVERY_S = 0.5
_TRY_S = 15.0
_LEASE_S = 60.0
"""Longer than a try can take."""

_SENDERS = 16
_SENDERS_EACH = 2
"""Senders for one receiver, so that a dead one does not delay the others."""

_SENDERS_OF_ONE = 12
"""Senders for one owner, so that their dead receivers do not delay other owners."""

_PUT_OFF_S = 5.0
_UNREADABLE_S = 600.0
"""A record that this gateway cannot read may be from a newer one, which may be running by then."""

_GONE = 410

_log = logging.getLogger(__name__)


class Webhooks(threading.Thread):
    """
    Sends every message that is due, several at a time.

    Args:
        redis: A client with a short timeout; during an outage this thread waits.
        resolve: Finds the addresses of a host.
        schedule_s: Seconds from one try to the next.
    """

    def __init__(
        self,
        redis: Redis,
        jobs: Jobs,
        settings: OutwardSettings,
        *,
        resolve: Resolve = resolve_by_system,
        schedule_s: Sequence[float] = SCHEDULE_S,
    ) -> None:
        super().__init__(name="webhooks", daemon=True)
        assert settings.webhook_secret is not None
        self._jobs = jobs
        self._due = DueMessages(redis)
        self._signer = Webhook(settings.webhook_secret.get_secret_value())
        self._dialer = Dialer(settings.reachable_hosts, resolve=resolve, ca_file=settings.ca_file)
        self._schedule_s = schedule_s
        self._busy: Counter[str] = Counter()  # by receiver
        self._busy_owners: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End the thread at its next turn. What it is sending then may be sent again later."""
        self._stopped.set()

    def run(self) -> None:
        """Send until stopped."""
        while not self._stopped.is_set():
            try:
                is_more = self._start_due()
            except (RedisError, OSError) as error:
                _log.warning("Redis is away, messages wait: %s", error)
                is_more = False
            except Exception:
                _log.exception("starting to send messages failed")
                is_more = False
            if not is_more:
                self._stopped.wait(_EVERY_S)

    def _start_due(self) -> bool:
        """Start senders for messages that are due. Returns whether there may be more."""
        with self._lock:
            n_free = _SENDERS - self._busy.total()
        if n_free <= 0:
            return False
        found = self._due.take(n_free, lease_s=_LEASE_S)
        for taken in found:
            try:
                self._start(taken)
            except RedisError:
                raise  # all that were taken are due again when their leases end
            except Exception:  # of this message alone
                _log.exception("the message of job %s cannot be sent yet", taken.job_id)
                self._due.settle(taken, next_s=_UNREADABLE_S)
        return len(found) == n_free

    def _start(self, taken: Taken) -> None:
        try:
            record = self._jobs.get(taken.job_id)
        except JobNotFound:
            self._due.settle(taken)
            return
        if record.callback_url is None or not record.status.is_final:  # tried again meanwhile
            self._due.settle(taken)
            return
        receiver = _receiver(record.callback_url)
        is_one_too_many = self._busy_owners[record.owner] >= _SENDERS_OF_ONE
        if is_one_too_many or self._busy[receiver] >= _SENDERS_EACH:
            self._due.settle(taken, next_s=_PUT_OFF_S)
            return
        self._count(record, receiver, 1)
        threading.Thread(
            target=self._send, args=(taken, record, receiver), name="webhook", daemon=True
        ).start()

    def _send(self, taken: Taken, record: JobRecord, receiver: str) -> None:
        """Make one try. If Redis cannot note it, the message is sent again."""
        try:
            with job_logged(record.id):
                self._try(taken, record)
        except RedisError as error:
            _log.warning("Redis is away, a message may be sent again: %s", error)
        except Exception:
            _log.exception("sending a message failed")
        finally:
            self._count(record, receiver, -1)

    def _count(self, record: JobRecord, receiver: str, change: int) -> None:
        with self._lock:
            for busy, name in ((self._busy, receiver), (self._busy_owners, record.owner)):
                busy[name] += change
                if not busy[name]:
                    del busy[name]  # else the table would grow with every name

    def _try(self, taken: Taken, record: JobRecord) -> None:
        message = write_message(self._jobs, record)
        n_before = sum(t.webhook_id == message.id for t in self._due.log(record.id))
        began_at, began = time.time(), time.monotonic()
        status, error = self._post(record.callback_url or "", message)
        outcome: Outcome = "failed"
        if status is not None and 200 <= status < 300:
            outcome, error = "delivered", None
        elif status == _GONE or n_before + 1 >= len(self._schedule_s):
            outcome = "given_up"
        made = Try(
            webhook_id=message.id,
            attempt=n_before + 1,
            at=round(began_at, 3),
            took_s=round(time.monotonic() - began, 3),
            outcome=outcome,
            status_code=status,
            error=error,
        )
        next_s = self._schedule_s[n_before + 1] if outcome == "failed" else None
        self._due.settle(taken, made=made, next_s=next_s)
        _log.info("message %s: %s (%s)", message.id, outcome, error or status)

    def _post(self, url: str, message: Message) -> tuple[int | None, str | None]:
        """POST a message. Returns the status (None without an answer), and what is wrong."""
        now = datetime.now(UTC)
        signature = self._signer.sign(message.id, now, message.body.decode())
        headers = {
            **message.headers,
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
            "webhook-id": message.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signature,
        }
        try:
            address: Address = parse_address(url)
            deadline = Deadline(_TRY_S)
            with self._dialer.exchange(address, Outgoing(headers, message.body), deadline) as head:
                return head.status, f"the receiver answered {head.status}"
        except AddressRefused as error:
            _log.warning("a message is not sent: %s", error)
            return None, (
                "the receiver's host was not found, or is none that may be called "
                "(LONGHAND_ALLOWED_HOSTS)"
            )
        except DialFailed as error:
            return None, f"the receiver could not be reached: {error}"


def _receiver(url: str) -> str:
    try:
        return parse_address(url).place
    except AddressRefused:
        return ""
