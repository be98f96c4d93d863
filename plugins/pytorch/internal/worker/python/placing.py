"""Which device holds which part of a model, as its parameters say."""

import collections
import re

from ranks import local

SINGLE = "single"  # device_map = everything on one device
# Accelerate keeps what fits on no GPU elsewhere and copies it at each step; in
# between, the parameter has no data.
OFFLOADED = "offloaded"


def wanted(p):
    """The device_map that the parameters ask for, or None for one device."""
    mode = p.get("device_map", SINGLE)
    return None if mode == SINGLE else mode


def device_of(parameter):
    device = local(parameter).device
    return OFFLOADED if device.type == "meta" else str(device)


def elements(model):
    """{device: elements of parameters}"""
    found = collections.Counter()
    for parameter in model.parameters():
        found[device_of(parameter)] += local(parameter).numel()
    return dict(found)


def in_use(model, mode):
    """The device_map in use. From where the parameters are can be told whether they
    are spread, not by which of the rules."""
    if len(elements(model)) < 2:
        return SINGLE
    return mode or "auto"


def modules(model):
    """{device: its modules}, where a block counts as one: "model.layers.0-15"."""
    found = collections.defaultdict(dict)  # as a set that keeps the order
    for name, parameter in model.named_parameters():
        block = re.match(r"(.*?\.)(\d+)(?=\.)", name)
        place = found[device_of(parameter)]
        if block:
            place.setdefault(block[1], set()).add(int(block[2]))
        else:
            place[name.rpartition(".")[0] or name] = None
    return {device: [stem + ranges(numbers) if numbers else stem for stem, numbers in place.items()] for device, place in found.items()}


def ranges(numbers):
    """{0, 1, 2, 5} as "0-2,5"."""
    runs = []
    for n in sorted(numbers):
        if runs and n == runs[-1][1] + 1:
            runs[-1][1] = n
        else:
            runs.append([n, n])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def text(model):
    return "; ".join(f"{device}: {', '.join(names)}" for device, names in sorted(modules(model).items()))


def gpus(model):
    """Indices of the GPUs that hold a part of the model. To ask another for anything
    would make a context on it."""
    return sorted({p.device.index or 0 for p in map(local, model.parameters()) if p.device.type == "cuda"})


def input_device(torch, model):
    """Where token ids belong: beside the embeddings, or where hooks copy those."""
    device = local(model.get_input_embeddings().weight).device
    if device.type != "meta":
        return device
    main = next((d for d in model.hf_device_map.values() if d not in ("cpu", "disk")), "cpu")
    return torch.device("cuda", main) if isinstance(main, int) else torch.device(main)
