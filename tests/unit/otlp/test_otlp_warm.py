"""Kernels compile in a child process, and slow paths serve until they are loaded."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

CODE = """
import sys
from obs import otlp, warm
otlp.decode_traces(b"")
assert "numba" not in sys.modules
assert not warm.ready("obs.fake.kernels")
thread = warm.start(["obs.fake.kernels", "obs.fake.broken", "obs.fake.missing"])
thread.join(60)
progress = warm.progress()
assert warm.ready("obs.fake.kernels"), progress
assert progress.total == 2 and progress.finished and progress.done == ("obs.fake.kernels",), progress
assert list(progress.failed) == ["obs.fake.broken"], progress
assert warm.start() is thread
print(warm.use_cache_folder())
"""


def test_start_compiles_loads_and_survives_a_broken_module(tmp_path):
    room = tmp_path / "fake"
    room.mkdir()
    (room / "kernels.py").write_text(
        "import os, pathlib\n"
        "def warm():\n"
        "    with open(os.environ['SEEN'], 'a') as seen:\n"
        "        seen.write(f'{os.getpid()}\\n')\n"
    )
    (room / "broken.py").write_text("def warm():\n    raise RuntimeError('no')\n")
    site = f"import obs; obs.__path__.append({str(tmp_path)!r})\n"
    (tmp_path / "sitecustomize.py").write_text(site)
    environment = {
        **os.environ,
        "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
        "SEEN": str(tmp_path / "seen"),
        "PYTHONPATH": str(tmp_path),
    }
    out = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=False)
    assert out.returncode == 0, out.stderr
    assert out.stdout.startswith(str(tmp_path / "cache"))
    pids = (tmp_path / "seen").read_text().split()
    assert len(pids) == len(set(pids)) == 2  # once in the child, once in the process itself


@pytest.fixture
def digests(tmp_path):
    """Digests of modules of a copy of obs: the rooms' kernels and what they import, as files to change."""

    def installed(name):
        for file in ("__init__.py", "kernel_sources.py", *KERNELS):
            to = tmp_path / name / "obs" / file
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / "obs" / file, to)
        return tmp_path / name

    def digest(installation, *modules):
        code = f"from obs.kernel_sources import digest; print(*map(digest, {modules!r}))"
        environment = {**os.environ, "PYTHONPATH": str(installation)}
        return subprocess.run(
            [sys.executable, "-c", code],
            cwd=installation,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()

    return installed, digest


KERNELS = (
    "otlp/kernels.py",
    "otlp/kernels_wire.py",
    "otlp/slots.py",
    "remote_write/kernels.py",
    "tsdb/kernels.py",
    "tsdb/promql/kernels.py",
    "tsdb/promql/warming.py",
)
MODULES = ("obs.otlp.kernels", "obs.remote_write.kernels", "obs.tsdb.kernels", "obs.tsdb.promql.warming")


def test_compiled_kernels_are_kept_by_their_sources_wherever_these_are_installed(digests):
    installed, digest = digests
    one, two = installed("one"), installed("two")
    before = digest(one, *MODULES)
    assert digest(two, *MODULES) == before
    assert len(set(before)) == len(MODULES)


@pytest.mark.parametrize(
    ("changed", "others"),
    [
        ("otlp/kernels_wire.py", {"obs.otlp.kernels", "obs.remote_write.kernels"}),
        ("otlp/slots.py", {"obs.remote_write.kernels"}),
        ("tsdb/kernels.py", {"obs.tsdb.kernels"}),
        ("tsdb/promql/kernels.py", {"obs.tsdb.promql.warming"}),
        ("tsdb/promql/warming.py", {"obs.tsdb.promql.warming"}),
    ],
)
def test_a_change_makes_new_kernels_of_those_modules_alone_that_it_is_built_into(digests, changed, others):
    installed, digest = digests
    one = installed("one")
    before = dict(zip(MODULES, digest(one, *MODULES), strict=True))
    with (one / "obs" / changed).open("a") as file:
        file.write("NUMBER = 7\n")
    after = dict(zip(MODULES, digest(one, *MODULES), strict=True))
    assert {module for module in MODULES if before[module] != after[module]} == others
