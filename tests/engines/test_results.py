"""A result directory, read with pyarrow and the standard library alone."""

import csv
import json
import os
import pathlib

import pyarrow.parquet as pq
import pytest

ROOT = pathlib.Path(os.environ["LLEM_RESULTS"])
TRIALS = sorted(ROOT.glob("runs/*"))


def trial(directory):
    return json.loads((directory / "trial.json").read_text())


def test_there_are_two_trials():
    assert len(TRIALS) == 2
    assert {trial(d)["block"] for d in TRIALS} == {0, 1}


@pytest.mark.parametrize("directory", TRIALS, ids=lambda d: d.name)
def test_requests_add_up_to_the_window(directory):
    """The window's tokens are those of the requests of its passes."""
    record = trial(directory)
    requests = pq.read_table(directory / "requests.parquet").to_pylist()
    for window in record["windows"]:
        inside = [
            r for r in requests if window["from_ns"] <= r["sent_ns"] and r["last_ns"] <= window["to_ns"]
        ]
        assert len(inside) == window["requests"]
        assert sum(r["output_tokens"] for r in inside) == window["output_tokens"]
        assert sum(r["prompt_tokens"] for r in inside) == window["prompt_tokens"]


@pytest.mark.parametrize("directory", TRIALS, ids=lambda d: d.name)
def test_energy_is_what_the_samples_say(directory):
    """An independent integration of power.parquet gives the stored joules."""
    record = trial(directory)
    rows = pq.read_table(directory / "power.parquet").to_pylist()
    assert rows
    domains = {d["id"]: d for s in record["sources"] for d in s["domains"]}
    checked = 0
    for window in record["windows"]:
        for entry in window["domains"]:
            domain = domains[entry["domain_id"]]
            if domain["reading"] != "interval_mean":
                continue
            samples = [(r["mono_ns"], r["value"]) for r in rows if r["domain"] == domain["id"]]
            lag = domain.get("lag_ns", 0)
            joules = 0.0
            for (before, _), (stamp, value) in zip(samples, samples[1:]):
                start = max(before - lag, window["from_ns"])
                end = min(stamp - lag, window["to_ns"])
                if end > start:
                    joules += (end - start) / 1e9 * value * domain["unit_num"] / domain["unit_den"]
            assert joules == pytest.approx(entry["window"]["energy_j"], rel=1e-6)
            checked += 1
    measured = any(d["reading"] == "counter" for d in domains.values())
    assert checked > 0 or measured, "no domain of this machine was integrated"


def test_summary_csv_has_the_cell():
    rows = list(csv.DictReader((ROOT / "summary.csv").open()))
    assert rows
    assert any(float(r["centre"]) > 0 for r in rows if r.get("metric") == "energy_per_output_token")


def test_work_holds_the_prompts():
    files = list(ROOT.glob("work/*.parquet"))
    for f in files:
        table = pq.read_table(f)
        assert table.num_rows > 0
