"""Offers the same load to one real vLLM server with llem's load generator, `vllm
bench serve`, aiperf and guidellm in turn, and prints their figures side by side.
peers.sh makes what it needs. Clients take turns in each round, so that whatever else
the machine does hits all of them; the median of the rounds is shown.
"""

import argparse
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request

parser = argparse.ArgumentParser()
parser.add_argument("--vllm", type=pathlib.Path, help="directory of the environment of vLLM")
parser.add_argument("--aiperf", type=pathlib.Path, help="the same of aiperf")
parser.add_argument("--guidellm", type=pathlib.Path, help="the same of guidellm")
parser.add_argument("--llem", help="the loadbench program")
parser.add_argument("--model", type=pathlib.Path, help="directory of the tiny model")
parser.add_argument("--out", type=pathlib.Path)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--requests", type=int, default=64)
parser.add_argument("--few", type=int, default=16, help="requests of the runs that tell start-up from work")
parser.add_argument("--concurrency", type=int, default=4)
parser.add_argument("--rate", type=float, default=2.0, help="requests/s of the Poisson load")
args = parser.parse_args()
IN, OUT, NAME = 128, 32, "tiny"
QUIET = {"HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1", "VLLM_NO_USAGE_STATS": "1", "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": ""}
OFFLINE = {"HF_HUB_OFFLINE": "1"}


def llem(url, n, rate, at):
    load = ["-rate", str(rate)] if rate else ["-concurrency", str(args.concurrency)]
    command = [args.llem, "peer", "-url", url, "-model", NAME, "-requests", str(n), "-in", str(IN), "-out", str(OUT), *load]

    def read(log):
        r = json.loads(log.splitlines()[-1])
        return r["requests"], r["output_tokens"], r["window_s"], r["ttft_ms"], r["tpot_ms"]

    return command, {}, read


def vllm(url, n, rate, at):
    load = ["--request-rate", str(rate)] if rate else ["--request-rate", "inf", "--max-concurrency", str(args.concurrency)]
    # Without a temperature the server's default sampling is used.
    command = [
        args.vllm / "bin/vllm", "bench", "serve", "--backend", "openai", "--base-url", url, "--endpoint", "/v1/completions",
        "--model", NAME, "--tokenizer", args.model, "--dataset-name", "random", "--random-input-len", str(IN),
        "--random-output-len", str(OUT), "--random-range-ratio", "0", "--ignore-eos", "--temperature", "0", "--num-prompts", str(n),
        "--seed", "0", "--save-result", "--result-dir", at, "--result-filename", "result.json", "--disable-tqdm", *load,
    ]  # fmt: skip

    def read(_):
        r = json.loads((at / "result.json").read_text())
        return r["completed"], r["total_output_tokens"], r["duration"], r["mean_ttft_ms"], r["mean_tpot_ms"]

    return command, OFFLINE, read


def aiperf(url, n, rate, at):
    load = ["--request-rate", str(rate), "--request-rate-mode", "poisson"] if rate else ["--concurrency", str(args.concurrency)]
    command = [
        args.aiperf / "bin/aiperf", "profile", "--model", NAME, "--tokenizer", args.model, "--url", url, "--endpoint-type", "completions",
        "--streaming", "--request-count", str(n), "--synthetic-input-tokens-mean", str(IN), "--synthetic-input-tokens-stddev", "0",
        "--output-tokens-mean", str(OUT), "--output-tokens-stddev", "0", "--extra-inputs", "ignore_eos:true",
        "--extra-inputs", "temperature:0", "--random-seed", "0", "--artifact-dir", at, "--ui", "none", "--no-gpu-telemetry", *load,
    ]  # fmt: skip

    def read(_):
        r = json.loads((at / "profile_export_aiperf.json").read_text())
        mean = lambda key: r[key]["avg"]
        return mean("request_count"), mean("total_osl"), mean("benchmark_duration"), mean("time_to_first_token"), mean("inter_token_latency")

    return command, {}, read  # offline, it refuses a tokenizer that is a directory


def guidellm(url, n, rate, at):
    load = f"kind=poisson,rate={rate}" if rate else f"kind=concurrent,streams={args.concurrency}"
    command = [
        args.guidellm / "bin/guidellm", "run", "--backend", f"kind=openai_http,target={url},model={NAME},request_format=/v1/completions",
        "--profile", load, "--constraint", f"kind=max_requests,count={n}", "--data", f"kind=synthetic_text,prompt_tokens={IN},output_tokens={OUT}",
        "--tokenizer", f"kind=hf_auto,model={args.model}", "--seed", "kind=static,value=0", "--output", f"kind=json,path={at / 'result.json'}",
        "--disable-console-interactive",
    ]  # fmt: skip

    def read(_):
        b = json.loads((at / "result.json").read_text())["benchmarks"][0]
        good = lambda key: b["metrics"][key]["successful"]
        # What it calls TPOT has the first token in it; its ITL is others' TPOT.
        return (good("request_latency")["count"], good("output_token_count")["total_sum"], b["duration"],
                good("time_to_first_token_ms")["mean"], good("inter_token_latency_ms")["mean"])  # fmt: skip

    return command, OFFLINE, read


CLIENTS = {"llem": llem, "vllm bench serve": vllm, "aiperf": aiperf, "guidellm": guidellm}


class Server:
    def __init__(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{s.getsockname()[1]}"
        environment = os.environ | QUIET | OFFLINE | {
            "OMP_NUM_THREADS": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CACHE_ROOT": str(args.vllm / "cache")}  # fmt: skip
        self.process = subprocess.Popen(
            [args.vllm / "bin/vllm", "serve", args.model, "--served-model-name", NAME, "--host", "127.0.0.1", "--port", self.url.rpartition(":")[2],
             "--dtype", "bfloat16", "--max-model-len", "2048", "--enforce-eager", "--kv-cache-memory-bytes", str(64 << 20),
             "--no-enable-prefix-caching", "--disable-uvicorn-access-log"],
            env=environment, stdout=(args.out / "server.log").open("w"), stderr=subprocess.STDOUT, start_new_session=True)  # fmt: skip
        while self.process.poll() is None:
            try:
                self.get("/health")
                return
            except (OSError, http.client.HTTPException):
                time.sleep(0.2)
        raise SystemExit(f"the server ended: see {args.out}/server.log")

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return answer.read().decode()

    def sums(self):
        found = {}
        for name, kind, value in re.findall(r"^vllm:(time_to_first_token|inter_token_latency)_seconds_(sum|count)\{.*\} (\S+)$", self.get("/metrics"), re.M):
            found[name, kind] = found.get((name, kind), 0) + float(value)
        return found

    def end(self):
        os.killpg(self.process.pid, signal.SIGKILL)  # its engine outlives it otherwise
        self.process.wait()


def run(server, name, n, rate, at):
    at.mkdir(parents=True)
    command, environment, read = CLIENTS[name](server.url, n, rate, at)
    before, begin = server.sums(), time.monotonic()
    log = (at / "log.txt").open("w+")
    child = subprocess.Popen(list(map(str, command)), env=os.environ | QUIET | environment, stdout=log, stderr=subprocess.DEVNULL if name == "llem" else log)
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.monotonic() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{name} failed: see {log.name}")
    log.seek(0)
    done, tokens, window, ttft, tpot = read(log.read())
    after = server.sums()
    mean = lambda key: 1e3 * (after[key, "sum"] - before.get((key, "sum"), 0)) / max(1, after[key, "count"] - before.get((key, "count"), 0))
    return {
        "requests": done, "tok/s": tokens / window, "TTFT ms": ttft, "TPOT ms": tpot, "server TTFT ms": mean("time_to_first_token"),
        "server ITL ms": mean("inter_token_latency"), "cpu": usage.ru_utime + usage.ru_stime, "start-up s": wall - window, "tokens": tokens,
    }  # fmt: skip


def main():
    args.out.mkdir(parents=True, exist_ok=True)
    print(f"{os.cpu_count()} CPUs; load before: {os.getloadavg()[0]:.1f}", flush=True)
    server, found = Server(), {}
    try:
        run(server, "llem", args.few, 0, args.out / "warm-up")
        for round in range(args.rounds):
            for label, n, rate in (("few", args.few, 0), ("closed", args.requests, 0), ("poisson", args.requests, args.rate)):
                if label == "few" and round > 0:
                    continue  # CPU time varies less than what the table is about
                for name in CLIENTS:
                    r = run(server, name, n, rate, args.out / f"{round}-{label}-{name.replace(' ', '-')}")
                    found.setdefault((label, name), []).append(r)
                    print(f"round {round} {label} {name}: load {os.getloadavg()[0]:.1f} {r}", file=sys.stderr, flush=True)
    finally:
        server.end()
    median = lambda label, name, key: statistics.median(r[key] for r in found[label, name])
    for label, title in (("closed", f"closed loop, {args.concurrency} in flight"), ("poisson", f"Poisson, {args.rate:g} requests/s")):
        print(f"\n{title}: {args.requests} requests, {IN} tokens in, {OUT} out; median of {args.rounds} rounds")
        print(f"{'':18}{'requests':>9}{'tok/s':>8}{'TTFT ms':>9}{'(server)':>9}{'TPOT ms':>9}{'(server)':>9}{'CPU ms/request':>16}{'start-up s':>12}")
        for name in CLIENTS:
            v = lambda key: median(label, name, key)
            # Two runs of different lengths tell the work from the start.
            work = 1e3 * (median("closed", name, "cpu") - median("few", name, "cpu")) / (args.requests - args.few)
            print(f"{name:18}{v('requests'):9.0f}{v('tok/s'):8.0f}{v('TTFT ms'):9.1f}{v('server TTFT ms'):9.1f}{v('TPOT ms'):9.2f}{v('server ITL ms'):9.2f}"
                  f"{f'{work:.1f}' if label == 'closed' else '':>16}{v('start-up s'):12.1f}")  # fmt: skip
    print(f"load after: {os.getloadavg()[0]:.1f}")


main()
