"""compared.py RESULTS: the cells of a study of two backends did the same work and are
compared.
"""

import json
import pathlib
import sys

import pyarrow.parquet as pq

(study,) = pathlib.Path(sys.argv[1]).iterdir()
summary = json.loads((study / "summary.json").read_text())
trials = [(json.loads((d / "trial.json").read_text()), pq.read_table(d / "requests.parquet")) for d in sorted(study.glob("runs/*"))]

(group,) = summary["groups"]
assert len(group["cells"]) == len(summary["cells"]) == 2, summary["cells"]
assert len({t["cell"]["instance"] for t, _ in trials}) == 2, [t["cell"] for t, _ in trials]
for block in {t["block"] for t, _ in trials}:
    work = [t["work"] for t, _ in trials if t["block"] == block]
    assert len(work) == 2 and len({w["hash"] for w in work}) == 1
    # One may have been given more passes than the other; those that both have are the same.
    assert all(a == b for a, b in zip(work[0]["pass_hashes"], work[1]["pass_hashes"]))
for _, requests in trials:
    done = [r for r in requests.to_pylist() if not r["error"] and r["finish_reason"] == "length"]
    assert len(done) == requests.num_rows > 0, requests.column("error").unique()
    assert {(r["prompt_tokens"], r["output_tokens"]) for r in done} == {(128, 32)}
for comparison in group.get("comparisons", []):
    assert not comparison.get("not_compared"), comparison
print(f"{len(trials)} trials compared")
