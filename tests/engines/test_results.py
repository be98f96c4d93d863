"""Result directories, read with pyarrow and the standard library alone.

`small` ran on the embedded engine, `simulated` on the simulator, whose power is
exactly 100 W.
"""

import bisect
import csv
import json
import os
import pathlib
import statistics

import pyarrow.parquet as pq
import pytest

ROOT = pathlib.Path(os.environ["LLEM_RESULTS"])
STUDIES = {name: next((ROOT / name).iterdir()) for name in ("small", "simulated")}
TRIALS = [d for study in STUDIES.values() for d in sorted(study.glob("runs/*"))]


def trial(directory):
    return json.loads((directory / "trial.json").read_text())


each_trial = pytest.mark.parametrize("directory", TRIALS, ids=lambda d: f"{d.parts[-4]}-{d.name}")
each_study = pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)


@each_study
def test_there_are_two_trials(study):
    assert sorted(trial(d)["block"] for d in study.glob("runs/*")) == [0, 1]


@each_trial
def test_requests_add_up_to_the_window(directory):
    """Requests and tokens of a window are those that requests.parquet has in it."""
    record = trial(directory)
    requests = pq.read_table(directory / "requests.parquet").to_pylist()
    for window in record["windows"]:
        inside = lambda ns: window["from_ns"] < ns <= window["to_ns"]
        assert sum(inside(r["last_ns"]) for r in requests) == window["requests"]
        if record["cell"]["loop"] == "batch":
            tokens = sum(r["output_tokens"] for r in requests if inside(r["last_ns"]))
            prompt = sum(r["prompt_tokens"] for r in requests if inside(r["last_ns"]))
        else:
            tokens = sum(n for r in requests for ns, n in zip(r["chunk_ns"], r["chunk_tokens"]) if inside(ns))
            prompt = sum(r["prompt_tokens"] for r in requests if inside(r["first_ns"]))
        assert (tokens, prompt) == (window["output_tokens"], window["prompt_tokens"])


def integrate(domain, samples, begin, end):
    """Joules between two stamps, from the samples alone."""
    unit = domain["unit_num"] / domain["unit_den"]
    if domain["reading"] == "counter":
        stamps = [s for s, _ in samples]

        def at(ns):
            i = bisect.bisect_right(stamps, ns)
            (t0, v0), (t1, v1) = samples[i - 1], samples[i]
            return v0 + (v1 - v0) * (ns - t0) / (t1 - t0)

        return (at(end) - at(begin)) * unit
    assert domain["reading"] == "interval_mean", domain["reading"]
    joules = 0.0
    for (before, _), (stamp, value) in zip(samples, samples[1:]):
        overlap = min(stamp, end) - max(before, begin)
        joules += max(0, overlap) / 1e9 * value * unit
    return joules


@each_trial
def test_energy_is_what_the_samples_say(directory):
    """An independent integration of power.parquet gives the stored joules."""
    record = trial(directory)
    rows = pq.read_table(directory / "power.parquet").to_pylist()
    domains = {d["id"]: d for s in record["sources"] for d in s["domains"]}
    for window in record["windows"]:
        headline = 0.0
        for entry in window["domains"]:
            domain = domains[entry["domain_id"]]
            samples = [(r["mono_ns"] - domain.get("lag_ns", 0), r["value"]) for r in rows if r["domain"] == domain["id"]]
            joules = integrate(domain, samples, window["from_ns"], window["to_ns"])
            assert joules == pytest.approx(entry["window"]["energy_j"], rel=1e-6)
            if domain["id"] in record["headline"]:
                headline += joules
        assert headline == pytest.approx(window["energy_j"], rel=1e-6)
        assert headline / window["output_tokens"] == pytest.approx(window["energy_per_output_token_j"], rel=1e-6)


def test_the_simulated_power_is_found():
    for directory in STUDIES["simulated"].glob("runs/*"):
        for window in trial(directory)["windows"]:
            assert window["mean_power_w"] == pytest.approx(100, rel=1e-5)


@each_study
def test_the_summary_is_the_mean_of_the_loads(study):
    loads = []
    for directory in study.glob("runs/*"):
        record = trial(directory)
        if record["ranked"]:
            loads.append(statistics.mean(w["energy_per_output_token_j"] for w in record["windows"]))
    rows = list(csv.DictReader((study / "summary.csv").open()))
    row = next(r for r in rows if r["metric"] == "energy_per_output_token" and not r["domain"])
    assert int(row["n"]) == len(loads) == 2
    assert float(row["value"]) == pytest.approx(statistics.mean(loads), rel=1e-9)
    half = 12.706204736432095 * statistics.stdev(loads) / 2**0.5  # t(0.975, 1)
    assert float(row["hi"]) - float(row["value"]) == pytest.approx(half, rel=1e-6)


@each_trial
def test_the_work_holds_the_prompts_that_ran(directory):
    record = trial(directory)
    work = pq.read_table(directory.parent.parent / "work" / (record["work"]["token_hash"] + ".parquet"))
    assert work.num_rows == record["work"]["requests"]
    prompts = work.to_pylist()
    for r in pq.read_table(directory / "requests.parquet").to_pylist():
        if r["run"] == "measured":
            assert len(prompts[r["request"]]["tokens"]) == r["prompt_tokens"]
