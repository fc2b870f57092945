"""Following real files: rotation in all its forms, restarts, checkpoints, limits."""

from __future__ import annotations

import os
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from obs.agent.limits import FIRST_READ_BYTES
from obs.agent.logs import follower as follower_module
from obs.agent.logs.assemble import TextRecord
from obs.agent.logs.checkpoints import Checkpoints
from obs.agent.logs.followed import FollowedFile
from obs.agent.logs.follower import Follower
from obs.agent.logs.mark import FileMark, Fingerprint
from obs.agent.own import OwnMetrics


@dataclass
class Run:
    """One life of an agent over a folder: `marks` are what the server acknowledged."""

    folder: Path
    marks: dict[str, FileMark] = field(default_factory=dict)
    glob: str = "*.log"
    texts: list[str] = field(default_factory=list)
    own: OwnMetrics = field(default_factory=OwnMetrics)

    def __post_init__(self) -> None:
        self.follower = Follower(
            lambda: [f"{self.folder}/{self.glob}"], self.marks, self.own, retire=lambda m: self.marks.pop(m.key, None)
        )

    def take(self, file: FollowedFile, records: list[TextRecord], mark: FileMark) -> None:
        self.texts += [r.text for r in records]
        self.marks[mark.key] = mark

    def poll(self, scan: bool = True) -> list[str]:
        """One look; what it gave."""
        before = len(self.texts)
        if scan:
            self.follower.scan()
        self.follower.poll(self.take)
        return self.texts[before:]

    def gaps(self) -> float:
        return sum(s.value for s in self.own.samples() if s.name == "obs_agent_log_gaps_total")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence completes a record at once, and a renamed file is given up at the second look."""
    monkeypatch.setattr("obs.agent.logs.followed.MULTILINE_FLUSH_S", 0.0)
    monkeypatch.setattr(follower_module, "ROTATED_DRAIN_S", 0.0)


def write(path: Path, *lines: str, mode: str = "a") -> None:
    with open(path, mode) as f:
        f.writelines(f"{line}\n" for line in lines)


def drain(run: Run, looks: int = 3) -> list[str]:
    """Several looks: the last line of a file is held back until it is quiet."""
    return [text for _ in range(looks) for text in run.poll()]


def test_lines_arrive_once(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    write(log, "one", "two")
    run = Run(tmp_path)
    assert drain(run) == ["one", "two"]
    write(log, "three")
    assert drain(run) == ["three"]
    assert drain(run) == []


def test_a_line_without_its_end_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "a.log"
    log.write_text("half")
    run = Run(tmp_path)
    assert drain(run) == []
    with open(log, "a") as f:
        f.write(" whole\n")
    assert drain(run) == ["half whole"]
    with open(log, "a") as f:
        f.write("prompt> ")
    monkeypatch.setattr("obs.agent.logs.followed.PARTIAL_FLUSH_S", 0.0)
    assert drain(run) == ["prompt>"]


def test_rename(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    write(log, "one")
    run = Run(tmp_path)
    drain(run)
    write(log, "two")
    log.rename(tmp_path / "a.log.1")
    write(log, "three")
    write(tmp_path / "a.log.1", "late, by a writer that still has it open")
    assert sorted(drain(run)) == ["late, by a writer that still has it open", "three", "two"]
    assert drain(run) == [] and run.gaps() == 0
    assert [m.path for m in run.marks.values()] == [str(log)], "the old file's mark is gone"


def test_rename_within_the_glob_is_not_read_twice(tmp_path: Path) -> None:
    write(tmp_path / "a.log", "one", "two")
    run = Run(tmp_path, glob="a*")
    drain(run)
    (tmp_path / "a.log").rename(tmp_path / "a.log.1")
    write(tmp_path / "a.log", "three")
    assert drain(run, 6) == ["three"]


def test_copytruncate(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    write(log, "one", "two")
    run = Run(tmp_path)
    drain(run)
    write(log, "unread before the copy")
    shutil.copy(log, tmp_path / "a.log.1")
    os.truncate(log, 0)
    write(log, "new")
    assert sorted(drain(run)) == ["new", "unread before the copy"]
    assert run.gaps() == 0


def test_copytruncate_within_the_glob_is_not_read_twice(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    write(log, "one", "two")
    run = Run(tmp_path, glob="a*")
    drain(run)
    shutil.copy(log, tmp_path / "a.log.1")
    assert drain(run) == []
    os.truncate(log, 0)
    write(log, "new")
    assert drain(run) == ["new"]


def test_truncation_without_a_copy_is_a_gap(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    write(log, "one", "two")
    run = Run(tmp_path)
    drain(run)
    write(log, "x", mode="w")
    assert drain(run) == ["x"] and run.gaps() == 1


def test_truncated_and_grown_past_the_old_position(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    write(log, "one")
    run = Run(tmp_path)
    drain(run)
    write(log, *(f"other {i}" for i in range(50)), mode="w")
    assert drain(run) == [f"other {i}" for i in range(50)]


def test_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    write(log, "one", "two")
    first = Run(tmp_path)
    drain(first)
    first.follower.close()
    write(log, "three")
    assert drain(Run(tmp_path, dict(first.marks))) == ["three"]


def test_unacknowledged_is_read_again(tmp_path: Path) -> None:
    write(tmp_path / "a.log", "one", "two")
    drain(Run(tmp_path))
    assert drain(Run(tmp_path, {})) == ["one", "two"]


def test_renamed_while_away(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    write(log, "one")
    first = Run(tmp_path)
    drain(first)
    first.follower.close()
    write(log, "two")
    log.rename(tmp_path / "a.log.1")
    write(log, "three")
    second = Run(tmp_path, dict(first.marks))
    assert sorted(drain(second)) == ["three", "two"] and second.gaps() == 0
    assert len(second.marks) == 1


def test_renamed_several_times_while_away(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    write(log, "one")
    first = Run(tmp_path)
    drain(first)
    first.follower.close()
    write(tmp_path / "a.log.bak", "no rotation")
    write(log, "two")
    for n in (3, 2, 1):
        log.rename(tmp_path / f"a.log.{n}")
        write(log, f"after {n}")
    for age, name in enumerate(["a.log.1", "a.log.2", "a.log.3", "a.log.4"]):
        write(tmp_path / name, *(["long ago"] if age == 3 else []))
        os.utime(tmp_path / name, (1_000_000_000 - age, 1_000_000_000 - age))
    second = Run(tmp_path, dict(first.marks))
    assert sorted(drain(second)) == ["after 1", "after 2", "after 3", "two"] and second.gaps() == 0


def test_copytruncated_while_away(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    write(log, "one")
    first = Run(tmp_path)
    drain(first)
    first.follower.close()
    write(log, "two")
    shutil.copy(log, tmp_path / "a.log.1")
    os.truncate(log, 0)
    write(log, "3")
    second = Run(tmp_path, dict(first.marks))
    assert sorted(drain(second)) == ["3", "two"] and second.gaps() == 0


def test_removed_while_away_is_a_gap(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    write(log, "one")
    first = Run(tmp_path)
    drain(first)
    first.follower.close()
    log.unlink()
    second = Run(tmp_path, dict(first.marks))
    assert drain(second) == [] and second.gaps() == 1 and second.marks == {}


def test_a_reused_inode_is_another_file(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    write(log, "one", "two")
    stat = log.stat()
    mark = FileMark("k", str(log), stat.st_dev, stat.st_ino, Fingerprint.of(b"other\n"), 4)
    assert drain(Run(tmp_path, {"k": mark})) == ["one", "two"]


def test_a_large_old_file_is_read_from_its_last_part(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    write(log, *(f"line {i:06d}" for i in range(120_000)))
    assert log.stat().st_size > FIRST_READ_BYTES
    run = Run(tmp_path)
    texts = drain(run, 4)
    assert texts[0].startswith("line ") and len(texts[0]) == 11, "begins with a whole line"
    assert texts[-1] == "line 119999" and abs(len(texts) * 12 - FIRST_READ_BYTES) <= 12


def test_a_large_file_that_appears_while_we_run_is_read_whole(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.poll()
    write(tmp_path / "new.log", *(f"line {i:06d}" for i in range(120_000)))
    assert len(drain(run, 5)) == 120_000


def test_what_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "wtmp.log").write_bytes(b"\x00\x01\x02binary\n")
    (tmp_path / "dir.log").mkdir()
    (tmp_path / "old.gz.log.gz").write_text("packed\n")
    (tmp_path / "dangling.log").symlink_to("nowhere")
    write(tmp_path / "a.log", "one")
    (tmp_path / "b.log").symlink_to("a.log")
    assert drain(Run(tmp_path, glob="*")) == ["one"], "a link to a followed file is that file"


def test_a_file_that_cannot_be_read_holds_up_no_other(tmp_path: Path) -> None:
    """Reading the beginning of a process's memory is an I/O error."""
    write(tmp_path / "b.log", "fine")
    (tmp_path / "a.log").symlink_to("/proc/self/mem")
    run = Run(tmp_path)
    assert drain(run) == ["fine"]
    descriptors = len(os.listdir("/proc/self/fd"))
    write(tmp_path / "b.log", "still fine")
    assert drain(run) == ["still fine"]
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert run.own.value("obs_agent_log_read_failures_total") >= 1


def test_a_file_that_fails_while_it_is_followed_holds_up_no_other(tmp_path: Path) -> None:
    for name in "abc":
        write(tmp_path / f"{name}.log", name)
    run = Run(tmp_path)
    assert sorted(drain(run)) == ["a", "b", "c"]
    descriptors = len(os.listdir("/proc/self/fd"))
    (fd,) = [int(f) for f in os.listdir("/proc/self/fd") if leads_to(f, tmp_path / "b.log")]
    memory, real = os.open("/proc/self/mem", os.O_RDONLY), os.dup(fd)
    os.dup2(memory, fd)  # from now on every read of it fails
    for name in "abc":
        write(tmp_path / f"{name}.log", name * 2)
    assert sorted(drain(run)) == ["aa", "cc"]
    assert run.own.value("obs_agent_log_read_failures_total") == 1
    os.dup2(real, fd)
    assert drain(run) == ["bb"]
    os.dup2(memory, fd)
    (tmp_path / "b.log").unlink()
    assert drain(run) == []
    assert run.own.value("obs_agent_log_gaps_total", reason="vanished") == 1
    os.close(memory)
    os.close(real)
    assert len(os.listdir("/proc/self/fd")) == descriptors - 1, "it was closed, and nothing else was opened"


def leads_to(descriptor: str, path: Path) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}") == str(path)
    except OSError:
        return False


def test_files_that_come_and_go_empty_leave_nothing_behind(tmp_path: Path) -> None:
    retired: list[FileMark] = []
    follower = Follower(lambda: [f"{tmp_path}/*.log"], {}, OwnMetrics(), retire=retired.append)
    log = tmp_path / "a.log"
    for text in ("", "words\n"):
        log.write_text(text)
        for _ in range(4):
            follower.scan()
            follower.poll(lambda *_: None)
            log.unlink(missing_ok=True)
    follower.close()
    assert [m.offset for m in retired] == [6]


def test_ten_megabytes_in_one_line(tmp_path: Path) -> None:
    with open(tmp_path / "a.log", "w") as f:
        f.write("next\n")
    run = Run(tmp_path)
    drain(run)
    with open(tmp_path / "a.log", "w") as f:
        f.write("x" * 10_000_000 + "\nafter\n")
    got = drain(run, 15)
    assert [len(t) for t in got] == [256 << 10, 5]
    assert run.own.value("obs_agent_log_lines_cut_total") == 1


def test_streams_of_a_container_are_apart(tmp_path: Path) -> None:
    at = "2026-11-23T09:07:23.971843241+00:00"
    trace = ["Traceback (most recent call last):", '  File "a.py", line 1, in f', "ValueError: bad"]
    lines = [f"{at} stdout P half", *(f"{at} stderr F {t}" for t in trace), f"{at} stdout F  done", f"{at} stdout F x"]
    write(tmp_path / "a.log", *lines)
    assert sorted(drain(Run(tmp_path))) == ["\n".join(trace), "half done", "x"]


@pytest.mark.parametrize("seed", [1, 2, 7])
def test_random_rotations_lose_and_repeat_nothing(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    log, run, written, n, restarts = tmp_path / "a.log", Run(tmp_path), [], 0, 0
    texts: list[str] = []
    for step in range(200):
        for _ in range(rng.randrange(1, 4)):
            written.append(f"line {n}")
            write(log, written[-1])
            n += 1
        action = rng.random()
        if action < 0.15:
            run.poll()  # a file that comes and goes between two looks cannot be seen
            write(log, f"line {n}")
            written.append(f"line {n}")
            n += 1
            log.rename(tmp_path / f"a.log.{step}")
        elif action < 0.25:
            restarts += 1
            texts += run.texts
            run.follower.close()
            run = Run(tmp_path, dict(run.marks))
        else:
            run.poll()
    drain(run, 5)
    texts += run.texts
    assert restarts > 5 and sorted(texts) == sorted(written)


def test_checkpoints_survive_and_forget(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.json"
    mark = FileMark("k", "/x", 1, 2, Fingerprint.of(b"abc"), 10)
    later = FileMark("k", "/x", 1, 2, Fingerprint.of(b"abc"), 20)
    checkpoints = Checkpoints(path)
    checkpoints.acknowledge([mark])
    checkpoints.save()
    assert Checkpoints(path).marks() == {"k": mark}
    checkpoints.retire(later)
    checkpoints.save()
    assert Checkpoints(path).marks() == {"k": mark}, "not before its end is acknowledged"
    checkpoints.acknowledge([later])
    checkpoints.save()
    assert Checkpoints(path).marks() == {}


@pytest.mark.parametrize("content", ["", "{", '{"files": [{}]}', '{"files": 3}'])
def test_damaged_checkpoints_are_none(tmp_path: Path, content: str) -> None:
    path: Any = tmp_path / "checkpoints.json"
    path.write_text(content)
    assert Checkpoints(path).marks() == {}
