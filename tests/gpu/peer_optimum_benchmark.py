"""The same model and shape by optimum-benchmark: tokens per second, GPU joules per
output token (by codecarbon, which it uses), and seconds until a result is there.

    peer_optimum_benchmark.py CONFIG_JSON [--device cuda] [--batches 1,32] [--input 512]
               [--output 64] [--seconds 10] [--scratch /dev/shm]

CONFIG_JSON is a model's config. Random weights are made on the device and written to
a directory under --scratch first: what the benchmark itself makes without weights, it
makes on the CPU, which takes minutes at 8B. The time for that is no part of
seconds_to_result. The benchmark takes configurations from the hub only, so that one
function of it is replaced here. One line of JSON a batch. It needs transformers below
5 (optimum-benchmark 0.6.0 imports what 5 has not).
"""

import argparse
import json
import pathlib
import shutil
import tempfile
import time


def main():
    p = argparse.ArgumentParser()
    p.add_argument("config")
    p.add_argument("--device", default="cuda")
    p.add_argument("--dtype", default="bfloat16")
    p.add_argument("--batches", default="1,32")
    p.add_argument("--input", type=int, default=512)
    p.add_argument("--output", type=int, default=64)
    p.add_argument("--seconds", type=float, default=10)
    p.add_argument("--scratch")
    a = p.parse_args()
    with tempfile.TemporaryDirectory(dir=a.scratch) as directory:
        write_model(a, directory)
        measure_all(a, directory)


def write_model(a, directory):
    import torch
    import transformers

    shutil.copy(a.config, pathlib.Path(directory) / "config.json")
    config = transformers.AutoConfig.from_pretrained(directory)
    with torch.device(a.device):
        model = transformers.AutoModelForCausalLM.from_config(config, torch_dtype=getattr(torch, a.dtype))
    model.save_pretrained(directory)
    del model
    if a.device == "cuda":
        torch.cuda.empty_cache()


def measure_all(a, directory):
    for batch in map(int, a.batches.split(",")):
        begin = time.monotonic()
        report = measure(a, directory, batch)
        decode, prefill = report["decode"], report["prefill"]
        # Of a generation of n tokens, prefill gives the first and decode the others.
        latency = prefill["latency"]["mean"] + decode["latency"]["mean"]
        tokens = batch * a.output
        line = {"batch": batch, "tokens_per_s": tokens / latency, "seconds_to_result": time.monotonic() - begin}
        if decode.get("energy") and prefill.get("energy"):
            line["gpu_j_per_token"] = 3.6e6 * (prefill["energy"]["gpu"] + decode["energy"]["gpu"]) / tokens
        line["prefill_s"], line["decode_s"] = prefill["latency"]["values"], decode["latency"]["values"]
        print(json.dumps(line), flush=True)


def measure(a, directory, batch):
    from optimum_benchmark import Benchmark, BenchmarkConfig, InferenceConfig, InlineConfig, PyTorchConfig
    from optimum_benchmark.backends import base

    def from_directory(model, filename, cache_dir):
        return shutil.copy(pathlib.Path(model) / filename, cache_dir)

    base.HF_API.hf_hub_download = from_directory
    backend = PyTorchConfig(
        model=directory, device=a.device, device_ids="0" if a.device == "cuda" else None, task="text-generation",
        library="transformers", torch_dtype=a.dtype,
    )
    scenario = InferenceConfig(
        latency=True, energy=a.device == "cuda", memory=False, duration=a.seconds, iterations=2, warmup_runs=2,
        input_shapes={"batch_size": batch, "sequence_length": a.input},
        generate_kwargs={"max_new_tokens": a.output, "min_new_tokens": a.output},
    )
    launcher = InlineConfig()
    config = BenchmarkConfig(name="peer", backend=backend, scenario=scenario, launcher=launcher)
    return Benchmark.launch(config).to_dict()


if __name__ == "__main__":
    main()
