"""Starts the shop's five processes on free ports and ends them together."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

from obs.demo.shop import SERVICES, WORKER
from obs.errors import UserError

STOP_S = 10


def run(to: str, rate: float, stop: threading.Event) -> None:
    """Run the shop against OTLP/gRPC at `to` until `stop` is set. Raises: UserError where a process ends early."""
    ports = {name: _free_port() for name in (*SERVICES, WORKER)}
    peers = ",".join(f"{name}={port}" for name, port in ports.items())
    commands = [
        ["service", name, "--port", str(ports[name]), "--to", to, "--peers", _peers_of(name, peers)]
        for name in SERVICES
    ]
    commands.append(["worker", "--port", str(ports[WORKER]), "--to", to])
    shopper = ["shopper", "--frontend", str(ports["frontend"]), "--to", to, "--rate", f"{rate:g}"]
    with contextlib.ExitStack() as stack:
        processes = {" ".join(c[:2]): stack.enter_context(_process(c)) for c in commands}
        while not stop.wait(0.5):
            if "shopper" not in processes and all(map(_listens, ports.values())):
                processes["shopper"] = stack.enter_context(_process(shopper))
            for name, process in processes.items():
                if process.poll() is not None:
                    raise UserError(f"cannot go on: the demo's {name} ended with status {process.returncode}")


def _peers_of(name: str, peers: str) -> str:
    """Only the frontend hands work on to the mailer."""
    return peers if name == "frontend" else ",".join(p for p in peers.split(",") if not p.startswith(WORKER))


@contextlib.contextmanager
def _process(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-m", f"obs.demo.{command[0]}", *command[1:]])
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
