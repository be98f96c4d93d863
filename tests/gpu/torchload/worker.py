"""The device side of torchload: a steady CUDA load in passes, stamped on
CLOCK_MONOTONIC after a synchronisation. Each line on stdin is one command as
JSON, each line on stdout its answer. With a log file, every pass is measured
with Zeus besides, over the very same stretch."""
import json
import os
import sys
import time

answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)  # whatever a library prints must not stand between the answers


def main():
    import torch

    commands = (json.loads(line) for line in sys.stdin)
    setup = next(commands)
    device = torch.device("cuda", 0)
    size = setup["size"]
    a = torch.randn(size, size, device=device, dtype=torch.bfloat16)
    b = torch.randn(size, size, device=device, dtype=torch.bfloat16)
    out = torch.empty_like(a)
    # A decode step reads weights and computes little.
    weights = torch.randn(setup["decode_rows"], size, device=device, dtype=torch.bfloat16)
    vectors = torch.randn(size, setup["batch"], device=device, dtype=torch.bfloat16)
    hidden = torch.empty(setup["decode_rows"], setup["batch"], device=device, dtype=torch.bfloat16)
    torch.cuda.synchronize()

    zeus, log = None, None
    if setup["zeus_log"]:
        from zeus.monitor import ZeusMonitor

        zeus, log = ZeusMonitor(gpu_indices=[0]), open(setup["zeus_log"], "a", buffering=1)

    properties = torch.cuda.get_device_properties(0)
    print(json.dumps({
        "uuid": "GPU-" + str(properties.uuid), "pid": os.getpid(), "torch": torch.__version__,
        "cuda": torch.version.cuda, "device": properties.name,
    }), file=answers)

    for command in commands:
        if zeus:
            zeus.begin_window("pass", sync_execution=False)
        begin = time.monotonic_ns()
        for _ in range(command["prefill"]):
            torch.mm(a, b, out=out)
        torch.cuda.synchronize()
        first = time.monotonic_ns()
        for _ in range(command["decode"]):
            torch.mm(weights, vectors, out=hidden)
        torch.cuda.synchronize()
        end = time.monotonic_ns()
        if zeus:
            measured = zeus.end_window("pass", sync_execution=False)
            print(json.dumps({"begin_ns": begin, "end_ns": end, "zeus_s": measured.time, "zeus_j": measured.total_energy}), file=log)
        print(json.dumps({"begin": begin, "first": first, "end": end}), file=answers)


main()
