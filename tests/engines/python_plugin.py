"""The backend in plain Python, made and installed as docs/writing-a-plugin.md says,
under the built llem."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import time

import pyarrow.parquet as pq
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LLEM = ROOT / "build" / "llem"
PAGE = ROOT / "docs" / "writing-a-plugin.md"


class Place:
    """A directory with the example's files, and commands that run in it."""

    def __init__(self, directory):
        self.directory = directory
        shutil.copytree(ROOT / "examples" / "plugins" / "python", directory, ignore=shutil.ignore_patterns("llem", "__pycache__"))
        tools = directory / ".tools"
        tools.mkdir()
        (tools / "llem").symlink_to(LLEM)
        self.environment = os.environ | {
            "PATH": f"{os.environ['LLEM_TEST_ENVIRONMENT']}/bin:{tools}:{os.environ['PATH']}",
            "XDG_DATA_HOME": str(directory / ".data"),
            "LLEM_PLUGIN_DIR": str(ROOT / "build" / "plugins"),
        }

    def run(self, line, code=0):
        done = subprocess.run(["bash", "-c", line], cwd=self.directory, env=self.environment, capture_output=True, text=True)
        assert done.returncode == code, f"{line}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def start(self, *command):
        return subprocess.Popen(command, cwd=self.directory, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def study(self, name, *changes):
        """A copy of the example's study that takes the simulator's energy."""
        text = 'energy = ["sim"]\n' + (self.directory / "study.toml").read_text()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (self.directory / name).write_text(text)
        return name


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """What the page's commands leave: all but the making of the environment, whose
    packages are pinned and cached."""
    place = Place(tmp_path_factory.mktemp("python") / "toy")
    said = [line for block in re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.M | re.S) for line in block.splitlines()]
    made = [line for line in said if not line.startswith(("python3 -m venv", "pip install", "llem run"))]
    assert [" ".join(line.split()[:3]) for line in made] == ["python3 -m grpc_tools.protoc", "llem plugins install", "llem plugins check"]
    for line in made:
        output = place.run(line.replace("PATH/TO/llem", str(ROOT)))
    assert re.search(r"\d+ rules, 0 broken", output)
    assert "n/a" not in "".join(line for line in output.splitlines() if "energy source" not in line)
    return place


def test_a_study_is_exact(place):
    """Counts are those of the work, and the hashes of what came back are those of
    the toy's arithmetic."""
    sweep = "[sweep]\nbackends.python-toy.step_us = [1, 2000]\n\n[backends.python-toy]"
    name = place.study("exact.toml", ("cycles = 2", "cycles = 1"), ("[backends.python-toy]", sweep), ("step_us = 2000\n", ""))
    place.run(f"llem run --quiet --out results {name}")
    (results,) = (place.directory / "results").iterdir()
    seen = []
    for directory in results.glob("runs/*"):
        trial = json.loads((directory / "trial.json").read_text())
        step_us = trial["load"]["report"]["Resolved"]["step_us"]
        seen.append(step_us)
        warnings = [w["code"] for w in trial["warnings"]]
        assert ("coarse_steps" in warnings) == (step_us == 1)
        assert step_us != 1 or "steps_late" in warnings

        rows = pq.read_table(directory / "requests.parquet").to_pylist()
        assert {row["run"] for row in rows} == {"measured"}
        work = pq.read_table(results / "work" / (trial["work"]["token_hash"] + ".parquet")).to_pylist()
        for row in rows:
            last, ids = work[row["request"]]["tokens"][-1], []
            for _ in range(row["output_tokens"]):
                last = (31 * last + 17) % 1000
                ids.append(last)
            digest = hashlib.sha256(struct.pack(f"<{len(ids)}I", *ids)).digest()
            assert row["output_tokens"] == 32 and row["output_hash"] == int.from_bytes(digest[:8], "little")
        before, after = trial["run"]["counters_before"], trial["run"]["counters_after"]
        for key, column in (("OutputTokens", "output_tokens"), ("PromptTokens", "prompt_tokens")):
            assert after[key] - before[key] == sum(row[column] for row in rows)
    assert sorted(seen) == [1, 2000]


def test_bad_parameters_are_refused_by_name(place):
    name = place.study("bad.toml", ("slots = 4", "slotz = 4"))
    done = subprocess.run(
        ["llem", "run", name], cwd=place.directory, env=place.environment, capture_output=True, text=True, executable=LLEM
    )
    assert done.returncode == 2 and "slotz" in done.stderr


def instances(place):
    """Processes of the installed plugin, by pid."""
    found = []
    for directory in filter(lambda p: p.name.isdigit(), pathlib.Path("/proc").iterdir()):
        try:
            home, command = os.readlink(directory / "cwd"), (directory / "cmdline").read_bytes()
        except OSError:
            continue
        if home.startswith(str(place.directory)) and b"plugin.py" in command:
            found.append(int(directory.name))
    return found


def await_(what, limit_s=60):
    end = time.monotonic() + limit_s
    while not (value := what()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)
    return value


def socket_directory(pid):
    for entry in pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
        if entry.startswith(b"PLUGIN_UNIX_SOCKET_DIR="):
            return pathlib.Path(entry.partition(b"=")[2].decode())
    return None


def test_nothing_outlives_a_dead_host(place):
    name = place.study("long.toml", ("window_s = 3", "window_s = 120"))
    host = place.start(LLEM, "run", "--quiet", "--out", "killed", name)
    try:
        # A log of a trial is written from its load on.
        await_(lambda: list(place.directory.glob("killed/*/attempts/*/log.txt")))
        (pid,) = await_(lambda: instances(place))
        sockets = socket_directory(pid)
        assert sockets.is_dir()
    finally:
        host.send_signal(signal.SIGKILL)
        host.wait()
    await_(lambda: not instances(place), 10)
    assert not sockets.exists()


def test_a_dead_plugin_is_a_failed_trial(place):
    name = place.study("dead.toml", ("window_s = 3", "window_s = 120"), ("cycles = 2", "cycles = 1"))
    host = place.start(LLEM, "run", "--quiet", "--out", "dead", name)
    try:
        await_(lambda: list(place.directory.glob("dead/*/attempts/*/log.txt")))
        (pid,) = await_(lambda: instances(place))
        os.kill(pid, signal.SIGKILL)
        assert host.wait(60) == 1
    finally:
        host.kill()
    assert not instances(place)
