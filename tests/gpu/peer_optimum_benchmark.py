"""The same model and shape by optimum-benchmark: tokens per second, GPU joules per
output token (by codecarbon, which it uses), and seconds until a result is there.

    peer_optimum_benchmark.py CONFIG_JSON [--device cuda] [--gpu INDEX] [--batches 1,32]
               [--input 512] [--output 64] [--seconds 10] [--scratch /dev/shm]

CONFIG_JSON is a model's config. Random weights are made on the device and written to
a directory under --scratch first: what the benchmark itself makes without weights, it
makes on the CPU, which takes minutes at 8B. The time for that is no part of
seconds_to_result. The benchmark takes configurations from the hub only, so that one
function of it is replaced here. One line of JSON a batch. It needs transformers below
5 (optimum-benchmark 0.6.0 imports what 5 has not).

INDEX is that of nvidia-smi. The benchmark shows itself one card by setting
CUDA_VISIBLE_DEVICES, which torch reads once, and codecarbon does not read at all: it
takes the index as the driver counts. So the weights are written by a process of their
own, and nothing here touches a device before that variable is set. The energy counter
of the card that torch names is read around each stretch that codecarbon measures: where
they differ by more than a tenth, another card was watched, which is an error.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

# Of codecarbon's joules from those of the counter; both read one sensor, a few
# milliseconds apart.
MOST_APART = 0.1
JOULES_PER_KWH = 3.6e6


def main():
    p = argparse.ArgumentParser()
    p.add_argument("config")
    p.add_argument("--device", default="cuda")
    p.add_argument("--gpu", type=int, help="unset: the one of CUDA_VISIBLE_DEVICES, else 0")
    p.add_argument("--dtype", default="bfloat16")
    p.add_argument("--batches", default="1,32")
    p.add_argument("--input", type=int, default=512)
    p.add_argument("--output", type=int, default=64)
    p.add_argument("--seconds", type=float, default=10)
    p.add_argument("--scratch")
    p.add_argument("--write-to", help=argparse.SUPPRESS)  # the process that writes the weights
    a = p.parse_args()
    if a.device == "cuda":
        show_one_card(a)
    if a.write_to:
        write_model(a, a.write_to)
        return
    with tempfile.TemporaryDirectory(dir=a.scratch) as directory:
        subprocess.run([sys.executable, __file__, *sys.argv[1:], "--write-to", directory], check=True)
        os.chdir(directory)  # the benchmark leaves files of its own
        measure_all(a, directory)


def show_one_card(a):
    """Before anything imports torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
    if a.gpu is None:
        if not visible.isdigit():
            sys.exit(f"CUDA_VISIBLE_DEVICES is {visible!r}, which is not the index of one card; name it by --gpu INDEX, as nvidia-smi counts")
        a.gpu = int(visible)
    os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # as the driver counts
    os.environ["CUDA_VISIBLE_DEVICES"] = str(a.gpu)


def write_model(a, directory):
    import torch
    import transformers

    shutil.copy(a.config, pathlib.Path(directory) / "config.json")
    config = transformers.AutoConfig.from_pretrained(directory)
    with torch.device(a.device):
        model = transformers.AutoModelForCausalLM.from_config(config, torch_dtype=getattr(torch, a.dtype))
    model.save_pretrained(directory)


def measure_all(a, directory):
    for batch in map(int, a.batches.split(",")):
        begin = time.monotonic()
        report, stretches = measure(a, directory, batch)
        line = {"batch": batch, **figures(report, batch, a.input, a.output), "seconds_to_result": time.monotonic() - begin}
        if stretches:
            wrong = disagreement(stretches)
            if wrong:
                sys.exit(f"batch {batch}: {wrong}")
            line["gpu"] = stretches["generate"]["gpu"]
            line["codecarbon_over_counter"] = {name: s["codecarbon_j"] / s["counter_j"] for name, s in stretches.items() if name in MEASURED}
        print(json.dumps(line), flush=True)


def figures(report, batch, prompt, output):
    """Of a generation of n tokens, prefill gives the first and decode the others."""
    prefill, decode = report["prefill"], report["decode"]
    line = {
        "tokens_per_s": batch * output / (prefill["latency"]["mean"] + decode["latency"]["mean"]),
        "prefill_s": prefill["latency"]["mean"], "decode_s": decode["latency"]["mean"],
        "prefill_s_each": prefill["latency"]["values"], "decode_s_each": decode["latency"]["values"],
    }  # fmt: skip
    if prefill.get("energy") and decode.get("energy"):
        first, others = (JOULES_PER_KWH * part["energy"]["gpu"] for part in (prefill, decode))
        line.update({
            "gpu_j_per_token": (first + others) / (batch * output), "prefill_j": first, "decode_j": others,
            "prefill_j_per_prompt_token": first / (batch * prompt), "decode_j_per_token": others / (batch * (output - 1)),
        })  # fmt: skip
    return line


# The stretches from which the benchmark computes the energy of prefill and decode.
MEASURED = ("prefill", "generate")


def disagreement(stretches):
    """What is wrong with the joules, or None."""
    for name in MEASURED:
        if name not in stretches:
            return f"codecarbon measured no {name}"
        s = stretches[name]
        if s["counter_j"] <= 0:
            return f"the energy counter of {s['gpu']}, on which torch works, stood still for the {s['seconds']:.1f} s of {name}"
        if abs(s["codecarbon_j"] / s["counter_j"] - 1) > MOST_APART:
            return (
                f"in the {s['seconds']:.1f} s of {name} codecarbon counted {s['codecarbon_j']:.0f} J, and the energy counter of "
                f"{s['gpu']}, on which torch works, {s['counter_j']:.0f} J: it watched another card, or not all of the time"
            )
    return None


@contextlib.contextmanager
def counted(tracker, counter, gpu, stretches):
    """Reads the counter around each stretch that the tracker measures."""
    track = tracker.track

    @contextlib.contextmanager
    def track_and_count(self, task_name="task"):
        with track(self, task_name=task_name):
            begin, before = time.monotonic(), counter()
            yield
            after, end = counter(), time.monotonic()
        stretches[task_name] = {"gpu": gpu, "seconds": end - begin, "counter_j": after - before, "codecarbon_j": JOULES_PER_KWH * self.gpu_energy}

    tracker.track = track_and_count
    try:
        yield
    finally:
        tracker.track = track


def counter_of_torch():
    """The energy counter in joules, and the UUID, of the card that torch sees."""
    import pynvml
    import torch

    if torch.cuda.device_count() != 1:
        sys.exit(f"torch sees {torch.cuda.device_count()} cards, and one was to be measured")
    uuid = str(torch.cuda.get_device_properties(0).uuid)
    uuid = uuid if uuid.startswith("GPU-") else "GPU-" + uuid
    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)

    def joules():
        torch.cuda.synchronize()
        return pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000

    return joules, uuid


def measure(a, directory, batch):
    from optimum_benchmark import Benchmark, BenchmarkConfig, InferenceConfig, InlineConfig, PyTorchConfig
    from optimum_benchmark.backends import base
    from optimum_benchmark.trackers.energy import EnergyTracker

    def from_directory(model, filename, cache_dir):
        return shutil.copy(pathlib.Path(model) / filename, cache_dir)

    base.HF_API.hf_hub_download = from_directory
    on_gpu = a.device == "cuda"
    backend = PyTorchConfig(
        model=directory, device=a.device, device_ids=str(a.gpu) if on_gpu else None, task="text-generation",
        library="transformers", torch_dtype=a.dtype,
    )  # fmt: skip
    scenario = InferenceConfig(
        latency=True, energy=on_gpu, memory=False, duration=a.seconds, iterations=2, warmup_runs=2,
        input_shapes={"batch_size": batch, "sequence_length": a.input},
        generate_kwargs={"max_new_tokens": a.output, "min_new_tokens": a.output},
    )  # fmt: skip
    config = BenchmarkConfig(name="peer", backend=backend, scenario=scenario, launcher=InlineConfig())
    stretches = {}
    with contextlib.ExitStack() as stack:
        if on_gpu:
            stack.enter_context(counted(EnergyTracker, *counter_of_torch(), stretches))
        report = Benchmark.launch(config).to_dict()
    return report, stretches


if __name__ == "__main__":
    main()
