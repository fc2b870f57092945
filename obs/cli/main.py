"""The `obs` command line: finds the verb, runs it, turns deliberate errors into words and exit codes.

Exit codes: 0 done · 1 the server or the environment said no · 2 wrong usage or a faulty query · 3 no server reached
· 4 nothing found · 130 interrupted. They are documented in docs/cli.md.
"""

from __future__ import annotations

import io
import os
import sys

import typer

from obs.cli import agent, compact, demo, doctor, export, import_, logs, query, scripts, sql, trace, up
from obs.cli import version as version_verb
from obs.client.transport import BAD_ADDRESS, ClientError
from obs.errors import ObsError, QueryError, UserError

FAILED, USAGE, UNREACHED, NOT_FOUND, INTERRUPTED = 1, 2, 3, 4, 130

app = typer.Typer(
    name="obs",
    help="Metrics, logs and traces in one process and one folder.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for verb in (up, agent, demo, query, logs, trace, sql, doctor, import_, export, compact, scripts, version_verb):
    verb.register(app)


def main() -> None:
    """Entry point of the `obs` script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show a sign shows its number
    try:
        app()
    except ObsError as e:
        print(str(e), file=sys.stderr)
        sys.exit(_exit_code(e))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()  # the reader has gone: nothing to say, and nobody to hear it
        sys.exit(FAILED)
    except OSError as e:
        print(f"cannot go on: {e}", file=sys.stderr)
        sys.exit(FAILED)
    except Exception as e:
        if os.environ.get("OBS_DEBUG"):
            raise
        print(f"internal error: {type(e).__name__}: {e}; set OBS_DEBUG=1 to see where", file=sys.stderr)
        sys.exit(FAILED)


def _exit_code(error: ObsError) -> int:
    status = getattr(error, "status", getattr(error, "http_status", None))
    if isinstance(error, ClientError) and status is None:
        return USAGE if error.kind == BAD_ADDRESS else UNREACHED
    if status == 404:
        return NOT_FOUND
    if isinstance(error, (QueryError, UserError)) or status in (400, 422):
        return USAGE
    return FAILED


if __name__ == "__main__":
    main()
