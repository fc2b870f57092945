"""Compiles the kernels in the background, so that nothing waits for them: slow paths serve until `ready(module)`.

Child processes at low priority compile the kernels modules into numba's cache on disk (so that our own interpreter
lock stays free), then a thread here imports the module and loads what was compiled. `numba` itself is only ever
imported by that thread. Each kernels module offers `warm()`: it calls every kernel with the types it will be used with.
"""

from __future__ import annotations

import ctypes
import fcntl
import importlib
import importlib.util
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

from obs import kernel_sources

KERNEL_MODULES = (
    "obs.otlp.kernels",
    "obs.remote_write.kernels",
    "obs.tsdb.kernels",
    "obs.logstore.kernels",
    "obs.tracestore.kernels",
    "obs.tsdb.promql.warming",
    "obs.tsdb.remote_read.kernels",
)
"""In the order of use: what takes data in comes first. Modules that do not exist are skipped."""

COMPILERS = 2
"""Modules compiled at one time: at low priority, on two cores."""

PR_SET_PDEATHSIG = 1
"""prctl's option: the signal that this process gets when its parent's thread ends. Source: prctl(2)."""

_log = logging.getLogger("obs.warm")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far compilation is; `failed` maps a module to what went wrong (its slow path goes on serving)."""

    done: tuple[str, ...]
    total: int
    current: str | None
    failed: dict[str, str]
    elapsed_s: float

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return len(self.done) + len(self.failed) >= self.total


class _State:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.ready: set[str] = set()
        self.failed: dict[str, str] = {}
        self.modules: tuple[str, ...] = ()
        self.current: str | None = None
        self.began = self.ended = 0.0
        self.thread: threading.Thread | None = None
        self.folder: Path | None = None


_state = _State()


def ready(module: str) -> bool:
    """Whether a kernels module may be called without waiting for a compiler."""
    return module in _state.ready


def progress() -> Progress:
    """How far `start` has come."""
    s = _state
    elapsed = (s.ended or time.monotonic()) - s.began if s.began else 0.0
    done = tuple(m for m in s.modules if m in s.ready)
    return Progress(done, len(s.modules), s.current, dict(s.failed), elapsed)


def start(modules: Sequence[str] = KERNEL_MODULES) -> threading.Thread:
    """Begin, unless begun; returns the thread, which ends when every module is ready or has failed."""
    with _state.lock:
        if _state.thread is None:
            use_cache_folder()
            _state.modules = tuple(m for m in modules if _exists(m))
            _state.began = time.monotonic()
            _state.thread = threading.Thread(target=_run, name="obs-warm", daemon=True)
            _state.thread.start()
        return _state.thread


def wait_if_compiled(timeout_s: float) -> None:
    """Wait for the thread of `start`, if all it has to do is to load what lies compiled on disk (about a second).

    Under load the same work takes many times as long, since it shares the interpreter lock with the slow paths.
    """
    thread = start()
    if all(_compiled(m).exists() for m in _state.modules):
        thread.join(timeout_s)


def load_now(module: str) -> None:
    """Import a kernels module and make it ready, in this thread; compiles where the cache on disk is empty."""
    if ready(module):
        return
    use_cache_folder()
    loaded = importlib.import_module(module)
    loaded.warm()
    _state.ready.add(module)


def use_cache_folder() -> Path:
    """Point numba at its cache on disk and at what names folders there. Must come before numba is imported."""
    if _state.folder is None:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = Path(os.environ.get("NUMBA_CACHE_DIR") or home / "obs" / "kernels")
        _state.folder = folder if _is_writable(folder) else Path(tempfile.mkdtemp(prefix="obs-kernels-"))
        os.environ["NUMBA_CACHE_DIR"] = str(_state.folder)
        os.environ["NUMBA_CACHE_LOCATOR_CLASSES"] = "obs.kernel_cache.BySources"
    return _state.folder


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _run() -> None:
    compiled = _compile_in_children([m for m in _state.modules if not _compiled(m).exists()])
    for module in _state.modules:
        _state.current = module
        try:
            if module in compiled:
                compiled[module].wait()
            load_now(module)
        except Exception as e:
            _state.failed[module] = f"{type(e).__name__}: {e}"
            _log.exception("cannot compile kernels %r: the slow path stays in use", module)
    _state.current = None
    _state.ended = time.monotonic()


def _compile_in_children(modules: Sequence[str]) -> dict[str, threading.Event]:
    """Begin to compile; each module's event is set when its child has ended.

    The threads are daemons, which no exit waits for: the children end with the threads that started them.
    """
    ended = {module: threading.Event() for module in modules}
    left: SimpleQueue[str] = SimpleQueue()
    for module in modules:
        left.put(module)
    for _ in range(min(COMPILERS, len(modules))):
        threading.Thread(target=_compile_each, args=(left, ended), name="obs-compile", daemon=True).start()
    return ended


def _compile_each(left: SimpleQueue[str], ended: dict[str, threading.Event]) -> None:
    while True:
        try:
            module = left.get_nowait()
        except Empty:
            return
        try:
            _compile_in_child(module)
        except OSError as e:
            _log.warning("cannot start a child process that compiles kernels %r: %s", module, e)
        finally:
            ended[module].set()


def _compile_in_child(module: str) -> None:
    child = subprocess.run(
        [sys.executable, "-m", "obs.warm", module],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    if child.returncode > 0:  # a child that a signal ended was told to
        _log.warning("cannot compile kernels %r in a child process: %s", module, child.stderr[-2000:])


def _compiled(module: str) -> Path:
    """The file that says that the cache on disk holds a module's kernels."""
    return use_cache_folder() / f"{module}-{kernel_sources.digest(module)}.compiled"


def _compile(module: str) -> None:
    """Fill the cache, one process at a time; those that waited find it filled. For the child process."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.nice(10)
    with _compiled(module).with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        load_now(module)
        _compiled(module).touch()


def _compile_missing() -> None:
    """Fill the cache with every module that it lacks, and wait for it: what `./dev test` does before its tests."""
    missing = [m for m in KERNEL_MODULES if _exists(m) and not _compiled(m).exists()]
    for ended in _compile_in_children(missing).values():
        ended.wait()


if __name__ == "__main__":
    _compile(sys.argv[1]) if len(sys.argv) > 1 else _compile_missing()
