"""The agent's entry points: `run` for who imports it, `main` for `python -m obs.agent`.

Imports stay small on purpose (no Arrow, no numba, no web framework): the agent's memory is the host's.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from obs.agent.agent import Agent
from obs.agent.config import DEFAULT_INTERVAL_S, DEFAULT_LOG_GLOBS, DEFAULT_TARGET, AgentConfig, default_data_dir
from obs.errors import ObsError, UserError


def run(
    to: str,
    *,
    interval_s: float = DEFAULT_INTERVAL_S,
    data_dir: Path | None = None,
    log_globs: Sequence[str] = DEFAULT_LOG_GLOBS,
    container_logs: bool = True,
    stop: threading.Event | None = None,
) -> None:
    """Ship this host's metrics and logs to `to` (HOST:PORT of OTLP/gRPC) until `stop` is set.

    Raises: UserError where the data folder cannot be used or an argument is wrong.
    """
    config = AgentConfig(
        to=to,
        interval_s=interval_s,
        data_dir=data_dir or default_data_dir(),
        log_globs=tuple(log_globs),
        container_logs=container_logs,
    )
    run_config(config, stop or threading.Event())


def run_config(config: AgentConfig, stop: threading.Event) -> None:
    """`run` with everything that can be set. Raises: UserError."""
    if config.interval_s < 0.1:
        raise UserError(f"cannot scrape every {config.interval_s} s: that is below 0.1; give a longer --interval")
    if not config.to.rpartition(":")[2].isdigit():
        raise UserError(f"cannot send to {config.to!r}: there is no port; give HOST:PORT, for example {DEFAULT_TARGET}")
    Agent(config).run(stop)


def build_parser() -> argparse.ArgumentParser:
    """The command line of `python -m obs.agent`."""
    parser = argparse.ArgumentParser("obs agent", description="Ship this host's metrics and logs over OTLP/gRPC.")
    parser.add_argument("--to", default=DEFAULT_TARGET, metavar="HOST:PORT", help="OTLP/gRPC server (%(default)s)")
    parser.add_argument(
        "--interval", type=float, default=DEFAULT_INTERVAL_S, metavar="S", help="seconds between scrapes (%(default)s)"
    )
    parser.add_argument(
        "--logs", action="append", metavar="GLOB", help="log files to follow; repeat it (default: /var/log)"
    )
    parser.add_argument("--no-container-logs", action="store_true", help="do not follow containers' log files")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder for positions and unsent data")
    parser.add_argument("--with-parent", action="store_true", help="end when the process that started it ends")
    parser.add_argument("--first-line", default="", metavar="REGEX", help="what begins a log record of several lines")
    parser.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help="where the host's / is seen")
    parser.add_argument("--host-name", metavar="NAME", help="instead of the kernel's host name")
    parser.add_argument("--socket", action="append", metavar="PATH", help="API socket of a container runtime")
    parser.add_argument("--podman-root", action="append", metavar="DIR", help="storage root of Podman")
    return parser


def config_of(args: argparse.Namespace) -> AgentConfig:
    """The configuration that a command line asks for."""
    given = {
        "data_dir": args.data,
        "log_globs": None if args.logs is None else tuple(args.logs),
        "host_name": args.host_name,
        "sockets": None if args.socket is None else tuple(args.socket),
        "podman_roots": None if args.podman_root is None else tuple(args.podman_root),
    }
    config = AgentConfig(
        to=args.to,
        interval_s=args.interval,
        container_logs=not args.no_container_logs,
        root=args.root,
        first_line=args.first_line,
    )
    return replace(config, **{name: value for name, value in given.items() if value is not None})


def stop_with_parent(parent: int, stop: threading.Event) -> None:
    """Set `stop` once another process than `parent` is ours: a server that was killed leaves no agent behind."""
    while not stop.wait(1.0):
        if os.getppid() != parent:
            stop.set()


def main(argv: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT. Exit code 0 when stopped, 2 when the arguments or the folder are wrong."""
    args = build_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if args.with_parent:
        threading.Thread(target=stop_with_parent, args=(os.getppid(), stop), daemon=True).start()
    try:
        run_config(config_of(args), stop)
    except ObsError as e:
        sys.stderr.write(f"obs agent: {e}\n")
        return 2
    return 0
