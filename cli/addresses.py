"""Addresses of this machine: whether a port is free, and whether a program is ready there."""

from __future__ import annotations

import errno
import http.client
import socket


class PortInUse(Exception):
    """Another program listens on the port of the gateway or of gateway.live."""


def claim(host: str, port: int) -> None:
    """
    Fail if another program has a port: it would answer in place of ours.

    Raises:
        PortInUse: Another program has it.
        OSError: `host` is not an address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            free.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise PortInUse(f"port {port} is taken by another program") from error


def reachable(host: str) -> str:
    """
    The address at which this machine reaches a program that listens on `host`.

    >>> reachable("0.0.0.0"), reachable("::"), reachable("10.0.0.5")
    ('127.0.0.1', '::1', '10.0.0.5')
    """
    return {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)


def in_url(host: str) -> str:
    """A host as it is written in a URL."""
    return f"[{host}]" if ":" in host else host


def is_ready(host: str, port: int) -> bool:
    """Whether a program on this machine says that it is ready."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
