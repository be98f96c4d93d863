"""Random weights over two GPUs that are not there: the processor stands in for the
first, "meta", which stores nothing, for the second."""

import sys

sys.path.insert(0, sys.argv[1])
import torch  # noqa: E402
import transformers  # noqa: E402
import transformers.integrations.accelerate as accelerate  # noqa: E402
import transformers.modeling_utils as modeling  # noqa: E402

import compat  # noqa: E402
import generating  # noqa: E402
import loading  # noqa: E402
import placing  # noqa: E402
import reporting  # noqa: E402

STANDS_IN = {0: "cpu", 1: "meta"}
MODEL_BYTES, ROOM = 2 * 5_475_584, {}
# What the GPUs have free, under the name of newer versions and of older ones.
room_of = "accelerate_max_memory" if hasattr(accelerate, "accelerate_max_memory") else "get_max_memory"
setattr(accelerate, room_of, lambda max_memory=None: dict(max_memory or ROOM))
choose, dispatched = modeling._get_device_map, []
modeling._get_device_map = lambda *a: {name: STANDS_IN.get(d, d) for name, d in choose(*a).items()}
modeling.accelerate_dispatch = lambda model, quantizer, device_map, *a: dispatched.append(device_map)
config = transformers.AutoConfig.from_pretrained(sys.argv[2])


class Sizes(torch.overrides.TorchFunctionMode):
    """The elements that are made on each device."""

    def __enter__(self):
        self.made = {}
        return super().__enter__()

    def __torch_function__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        if function is torch.empty_like and out.is_floating_point() and out.dim() == 2:
            self.made[out.device.type] = self.made.get(out.device.type, 0) + out.numel()
        return out


def load(room, **parameters):
    ROOM.clear()
    ROOM.update(room)
    dispatched.clear()
    warnings = []
    with Sizes() as sizes:
        model = loading.make_random(torch, parameters, config, torch.bfloat16, torch.device("cpu"), 1, warnings)
    assert model.dtype == torch.bfloat16
    return model, sizes.made, warnings


both = {0: 3 * MODEL_BYTES, 1: 3 * MODEL_BYTES, "cpu": 3 * MODEL_BYTES}
for mode in ("auto", "balanced"):
    model, made, _ = load(both, device_map=mode)
    held = placing.elements(model)
    total = sum(held.values())
    assert total == 5_475_584 and set(held) == {"cpu", placing.OFFLOADED} and held["cpu"] < 0.6 * total, (mode, held)
    assert made["cpu"] < 0.6 * total, made  # never the whole model on one device
    assert set(dispatched[0].values()) == {"cpu", "meta"}, dispatched
    assert placing.in_use(model, mode) == mode
    names = placing.modules(model)
    assert names == {"cpu": ["model.embed_tokens", "model.layers.0-2"], placing.OFFLOADED: ["model.layers.3-5", "model.norm", "lm_head"]}, names
    assert placing.text(model) == "cpu: model.embed_tokens, model.layers.0-2; offloaded: model.layers.3-5, model.norm, lm_head"
    weight = model.model.layers[2].mlp.up_proj.weight
    assert 0.015 < weight.float().std() < 0.025, weight

# What fits on one GPU is on one, and is said to be.
model, made, _ = load(both, device_map="sequential")
assert placing.elements(model) == {"cpu": 5_475_584} and placing.in_use(model, "sequential") == "single", placing.elements(model)
model, made, _ = load(both, device_map="balanced_low_0")
assert "cpu" not in made and placing.elements(model) == {placing.OFFLOADED: 5_475_584}, made
# Where it does not fit, the first is filled.
model, _, _ = load({**both, 0: MODEL_BYTES // 2}, device_map="sequential")
assert set(placing.elements(model)) == {"cpu", placing.OFFLOADED} and placing.in_use(model, "sequential") == "sequential"
# The study's own limits hold.
model, _, warnings = load(both, device_map="auto", extra={"max_memory": {"0": MODEL_BYTES // 4, "1": 3 * MODEL_BYTES}})
assert placing.elements(model)["cpu"] < 5_475_584 // 4 and not warnings, placing.elements(model)

# On one device nothing reads them.
model, _, warnings = load(both, extra={"max_memory": {0: 1}})
assert placing.in_use(model, None) == "single" and [w["key"] for w in warnings] == ["extra.max_memory"], warnings



class Part:
    """A parameter on a GPU."""

    def __init__(self, gpu, elements):
        self.device, self.numel = torch.device("cuda", gpu), lambda: elements


class Engine(generating.Engine):
    """An engine with a model on the second and the third GPU."""

    def __init__(self, offloaded=()):
        self.torch, self.ranks, self.model = torch, None, self
        self.parts = [Part(1, 300), Part(2, 100), *offloaded]
        self.gpus, self.input_device = placing.gpus(self), "cpu"
        self.p, self.kv_bytes_per_token, self.without_gradients = {}, 1, torch.no_grad

    def parameters(self):
        return self.parts

    def config(self, *_):
        return None

    def generate(self, *_, **__):
        """Nothing: what its prompts take is in the figures below."""


# The devices of the report are those that hold parameters.
compat.gpu_uuid = lambda _, gpu: f"GPU-{gpu}"
assert [(d["id"], d["kind"], d["rank"]) for d in reporting.devices(Engine())] == [("GPU-1", "gpu", 0), ("GPU-2", "gpu", 1)]
elsewhere = torch.empty(50, device="meta")
assert [(d["id"], d["kind"]) for d in reporting.devices(Engine([elsewhere]))] == [("GPU-1", "gpu"), ("GPU-2", "gpu"), ("cpu", "cpu")]

# Each of them must have room for what its layers add to the cache.
room = {1: (40, 100), 2: (20, 100)}  # free, in all; 50 are this process's
torch.cuda.mem_get_info, torch.cuda.memory_reserved = room.__getitem__, lambda gpu: 50
torch.cuda.max_memory_reserved = lambda gpu: 60
torch.cuda.empty_cache = torch.cuda.reset_peak_memory_stats = lambda *_: None
call = {"prompt_lengths": [3], "max_tokens": [5]}
assert Engine().fits(call, b"", 7)  # 35 bytes: 26 and 9, where less than 30 and 10 are left
assert not Engine().fits(call, b"", 8)
room[1] = (20, 100)
assert not Engine().fits(call, b"", 7)

assert placing.ranges({0, 1, 2, 5, 7, 8}) == "0-2,5,7-8"
