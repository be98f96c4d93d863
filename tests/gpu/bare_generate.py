"""Tokens per second of a plain loop around model.generate, without llem: what
the pytorch backend is held against, on the same shapes in the same minutes.

    bare_generate.py [--size 8b] [--dtype bfloat16] [--batches 1,32] [--input 512]
                     [--output 64] [--rounds 5] [--seconds 10] [--arms bare,watch,watch_every]
                     [--cache static]

Each round runs the arms in turn: `bare` is the plain loop; `watch` and
`watch_every` add the stopping criterion of the backend's worker, stamping the
first step and every step; `worker` is a pass of that worker, as llem asks for one.
All run in one process on one model, since two processes differ by more than 1 %;
the ratios to `bare` are what watching, and the worker, cost.
It needs torch and transformers only, and no network.
"""

import argparse
import json
import math
import pathlib
import socket
import statistics
import sys
import time

import torch
import transformers

PLUGIN = pathlib.Path(__file__).resolve().parents[2] / "plugins" / "pytorch"
sys.path.insert(0, str(PLUGIN / "internal" / "worker" / "python"))


def make_model(size, dtype, device):
    fields = json.loads((PLUGIN / "shapes" / f"{size}.json").read_text())
    config = transformers.AutoConfig.for_model(fields.pop("model_type"), **fields)
    torch.manual_seed(1)
    with torch.device(device):
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=dtype)
    model.eval().requires_grad_(False)
    model.generation_config = transformers.GenerationConfig()  # without an end of sequence
    return model


def synchronize(device):
    if device.type == "cuda":
        torch.cuda.synchronize()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--size", default="8b")
    p.add_argument("--dtype", default="bfloat16")
    p.add_argument("--batches", default="1,32")
    p.add_argument("--input", type=int, default=512)
    p.add_argument("--output", type=int, default=64)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=float, default=10)
    p.add_argument("--arms", default="bare,watch,watch_every")
    p.add_argument("--cache", help="cache_implementation, such as static; unset: chosen by transformers")
    a = p.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    begin = time.monotonic()
    model = make_model(a.size, getattr(torch, a.dtype), device)
    synchronize(device)
    print(f"model ready after {time.monotonic() - begin:.1f} s on {device.type}, torch {torch.__version__}, transformers {transformers.__version__}", file=sys.stderr)

    from generating import Engine, Watch
    from wire import Line

    parameters = {"cache_implementation": a.cache} if a.cache else {}
    engine = Engine(torch, transformers, model, None, device, parameters, [])
    far, near = socket.socketpair()
    line = Line(near.detach())  # its thread waits for an abort, as in the worker

    def criteria(arm):
        if arm == "bare":
            return {}
        watch = Watch(torch, device, None, arm == "watch_every")
        watch.start()
        return {"stopping_criteria": [watch]}

    for batch in map(int, a.batches.split(",")):
        generator = torch.Generator().manual_seed(batch)

        engine.batch_size = batch
        call = {
            "prompt_lengths": [a.input] * batch, "max_tokens": [a.output] * batch, "exact": True, "every_step": False, "first": 0,
            "sampling": {"temperature": 0.0, "top_k": 0, "top_p": 1.0, "seed": 1},
        }  # fmt: skip

        def once(arm):
            ids = torch.randint(3, model.config.vocab_size, (batch, a.input), generator=generator)
            if arm == "worker":
                line.number += 1
                _, outputs = engine.run_pass(line, call, bytearray(ids.to(torch.int32).numpy().tobytes()))
                return torch.frombuffer(bytearray(outputs), dtype=torch.int32)
            ids = ids.to(device)
            out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=a.output, do_sample=False, cache_implementation=a.cache, **criteria(arm))
            return out[:, a.input :].cpu()

        def rate(arm):
            """Tokens per second of whole batches in about the given time."""
            synchronize(device)
            begin, tokens = time.monotonic(), 0
            while time.monotonic() - begin < a.seconds:
                tokens += once(arm).numel()
            synchronize(device)
            return tokens / (time.monotonic() - begin)

        arms = a.arms.split(",")
        for arm in arms:
            once(arm)  # kernels are chosen and memory is taken
        rates = {arm: [] for arm in arms}
        for turn in range(a.rounds):
            for arm in arms[turn % len(arms) :] + arms[: turn % len(arms)]:
                rates[arm].append(rate(arm))
        result = {"batch": batch, "input": a.input, "output": a.output, "cache": a.cache, "tokens_per_s": {arm: [round(r, 3) for r in rates[arm]] for arm in arms}}
        for arm in arms[1:]:
            logs = [math.log(x / y) for x, y in zip(rates[arm], rates["bare"])]
            mean, error = statistics.mean(logs), statistics.stdev(logs) / math.sqrt(len(logs)) if len(logs) > 1 else math.nan
            result[f"{arm}_over_bare"] = {"mean": math.exp(mean), "standard_error": error, "low": math.exp(min(logs)), "high": math.exp(max(logs))}
        result["bare_mean"] = statistics.mean(rates["bare"])
        print(json.dumps(result), flush=True)


main()
