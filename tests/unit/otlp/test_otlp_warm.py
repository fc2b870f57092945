"""Kernels compile in a child process, and slow paths serve until they are loaded."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

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


def test_two_installations_of_the_same_code_have_caches_of_their_own(tmp_path):
    def folder(name):
        package = tmp_path / name / "obs"
        package.mkdir(parents=True, exist_ok=True)
        for file in ("__init__.py", "warm.py", "version.py"):
            shutil.copy(ROOT / "obs" / file, package / file)
        (package / "otlp").mkdir(exist_ok=True)
        shutil.copy2(ROOT / "obs" / "otlp" / "kernels.py", package / "otlp")
        code = "from obs import warm; print(warm.use_cache_folder())"
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": ""}
        return subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path / name,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert folder("one") == folder("one")
    assert folder("one") != folder("two")
