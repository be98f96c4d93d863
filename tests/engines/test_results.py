"""Result directories, read with pyarrow and the standard library alone.

`small` ran on the embedded engine, `simulated` on the simulator, whose power is
exactly 100 W.
"""

import bisect
import csv
import fractions
import functools
import itertools
import json
import math
import os
import pathlib
import statistics
import tomllib

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


def in_window(directory, window):
    """The requests that ended well in a window, each with the send it was due at, and that its latencies run from."""
    rows = pq.read_table(directory / "requests.parquet").to_pylist()
    inside = [r for r in rows if r["run"] == "measured" and window["from_ns"] < r["last_ns"] <= window["to_ns"] and not r["error"]]
    assert len(inside) == window["requests"] - window["failed"]
    due = [r["sent_ns"] if r["intended_ns"] is None else r["intended_ns"] for r in inside]
    return [r | {"due_ns": d, "start_ns": r["sent_ns"] if window.get("passes") else d} for r, d in zip(inside, due)]


LATENCIES = {
    "ttft": lambda r: r["first_ns"] - r["start_ns"],
    "ttft_sent": lambda r: r["first_ns"] - r["sent_ns"],
    "tpot": lambda r: (r["last_ns"] - r["first_ns"]) / (r["output_tokens"] - 1),
    "e2e": lambda r: r["last_ns"] - r["start_ns"],
    "e2e_sent": lambda r: r["last_ns"] - r["sent_ns"],
    "queue": lambda r: r["sent_ns"] - r["due_ns"],
}
LEAST = {50: 2, 90: 36, 95: 72, 99: 368}


def same_quantiles(values, stored):
    """Quantiles by the standard library are those stored, as far as there are enough values."""
    assert stored["n"] == len(values) and stored.get("without", 0) == 0
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    for p, least in LEAST.items():
        if len(values) < least:
            assert stored[f"p{p}_ns"] is None and str(least) in stored["absent"][f"p{p}"]
        else:
            assert stored[f"p{p}_ns"] == pytest.approx(cuts[p - 1], abs=2)
    assert stored["mean_ns"] == pytest.approx(statistics.mean(values), abs=2)


@functools.cache
def binomial_ranks(n, p):
    """Ranks with at most 2.5 % on either side, summed up in fractions."""
    p = fractions.Fraction(p, 100)
    below, ranks = fractions.Fraction(0), []
    for k in range(n + 1):
        below += math.comb(n, k) * p**k * (1 - p) ** (n - k)
        if not ranks and below > fractions.Fraction(1, 40):
            ranks.append(k)
        if below >= fractions.Fraction(39, 40):
            return [*ranks, k + 1]


@each_trial
def test_latencies_are_what_the_requests_say(directory):
    for window in trial(directory)["windows"]:
        requests = in_window(directory, window)
        for name, of in LATENCIES.items():
            values = sorted(map(of, requests))
            same_quantiles(values, window[name])
            for p in LEAST:
                if window[name][f"p{p}_ns"] is not None and len(values) >= 6:
                    lo, hi = binomial_ranks(len(values), p)
                    assert window[name][f"p{p}_bounds_ns"] == pytest.approx([values[lo - 1], values[hi - 1]], abs=1)


@each_trial
def test_gaps_are_between_tokens(directory):
    """In the closed loop each arrival holds a token; batches record none, and say so."""
    record = trial(directory)
    for window in record["windows"]:
        if record["cell"]["loop"] == "batch":
            assert "arrival_gaps" not in window and "batch" in window["latencies_absent"]["arrival_gaps"]
            continue
        gaps = [b - a for r in in_window(directory, window) for a, b in itertools.pairwise(r["chunk_ns"])]
        assert (window["arrival_gaps"]["between"], window["arrival_gaps"]["tokens_per_chunk"]) == ("tokens", 1)
        same_quantiles(gaps, window["arrival_gaps"]["gaps"])


@each_study
def test_goodput_is_what_the_requests_say(study):
    """Requests within all limits of the study, by seconds, by all requests and by joules."""
    limits = tomllib.loads((study / "study.toml").read_text())["slo"]
    loads = []
    for directory in sorted(study.glob("runs/*")):
        (window,) = trial(directory)["windows"]
        within = [all(LATENCIES[key.removesuffix("_ms")](r) <= ms * 1e6 for key, ms in limits.items()) for r in in_window(directory, window)]
        met, seconds, stored = sum(within), (window["to_ns"] - window["from_ns"]) / 1e9, window["goodput"]
        assert {k: v for k, v in stored.items() if k in limits} == limits
        assert (stored["met"], stored["requests"], stored.get("unknown", 0)) == (met, window["requests"], 0)
        loads.append((met / seconds, met / window["requests"], met / window["energy_j"]))
        assert loads[-1] == pytest.approx((stored["requests_per_s"], stored["share"], stored["requests_per_j"]), rel=1e-9)
    if "ttft_ms" in limits:
        assert all(0.05 < share < 0.95 for _, share, _ in loads), "the limits of simulated.toml tell nothing apart"
    rows = {r["metric"]: r for r in csv.DictReader((study / "summary.csv").open()) if not r["domain"]}
    for metric, values in zip(("goodput", "goodput_share", "goodput_per_joule"), zip(*loads)):
        assert float(rows[metric]["value"]) == pytest.approx(statistics.mean(values), rel=1e-9)
        half = 12.706204736432095 * statistics.stdev(values) / 2**0.5  # t(0.975, 1)
        assert float(rows[metric]["hi"]) - float(rows[metric]["value"]) == pytest.approx(half, rel=1e-6, abs=1e-12)


@each_study
def test_quantiles_of_the_summary_are_means_over_loads(study):
    windows = [w for d in study.glob("runs/*") for w in trial(d)["windows"]]
    rows = {r["metric"]: r for r in csv.DictReader((study / "summary.csv").open()) if not r["domain"]}
    for name in LATENCIES:
        for p in LEAST:
            values, row = [w[name][f"p{p}_ns"] for w in windows], rows[f"{name}_p{p}"]
            if None in values:
                assert row["value"] == "" and "needs" in row["absent"]
            else:
                assert float(row["value"]) == pytest.approx(statistics.mean(values) / 1e6, rel=1e-9, abs=1e-12)


@each_trial
def test_the_work_holds_the_prompts_that_ran(directory):
    record = trial(directory)
    work = pq.read_table(directory.parent.parent / "work" / (record["work"]["token_hash"] + ".parquet"))
    assert work.num_rows == record["work"]["requests"]
    prompts = work.to_pylist()
    for r in pq.read_table(directory / "requests.parquet").to_pylist():
        if r["run"] == "measured":
            assert len(prompts[r["request"]]["tokens"]) == r["prompt_tokens"]
