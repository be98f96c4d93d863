"""Tensor parallelism: several workers compute one model together, each on its own
device. Every rank gets the same calls, runs the same program, and exchanges with
the others inside the model. So one of them decides for all whether a generate goes
on: a rank that left it a step before the others would leave them waiting in an
exchange for ever.
"""

import collections
import datetime
import mmap
import os
import re
import time

from problems import Problem

MEMORY = 4  # a 64-bit word for each rank, shared by all
LISTENER = 5  # of the first rank
MEET_S = 300  # imports may take longer in one rank than in another
# Looks at the shared memory before a waiting rank gives its core away: most waits
# are shorter.
LOOKS = 1000
PAUSE_S = 0.00005


class Ranks:
    """This worker among the ranks.

    The first word of the shared memory holds how many decisions the first rank
    has taken, times two, plus one if the last of them was to stop. After such a
    one it takes none before all ranks have answered the call, so a rank that is
    behind reads from a greater number that it was to go on. Word i holds how
    often rank i has come to a meeting.
    """

    def __init__(self, words, rank, size, line):
        self.words, self.rank, self.size, self.line = words, rank, size, line
        self.decisions = self.meetings = 0

    def wants_stop(self):
        """Whether all ranks are to stop here. The first one looks for an abort,
        which costs it a store; the others wait for what it says."""
        self.decisions += 1
        go, stop = 2 * self.decisions, 2 * self.decisions + 1
        if self.rank == 0:
            wanted = self.line.wants_stop()
            self.words[0] = stop if wanted else go
            return wanted
        if self.words[0] < go:
            wait(lambda: self.words[0] >= go)
        return self.words[0] == stop

    def meet(self):
        """The first rank waits here for the others, which go on."""
        self.meetings += 1
        if self.rank > 0:
            self.words[self.rank] = self.meetings
            return
        wait(lambda: all(self.words[i] >= self.meetings for i in range(1, self.size)))


def wait(come):
    """Waits without an end: should another rank die, the plugin ends this one."""
    looks = 0
    while not come():
        looks += 1
        if looks > LOOKS:
            time.sleep(PAUSE_S)


def count(p):
    """How many ranks the parameters ask for."""
    return p.get("tp_size", 1) if "tp_plan" in p else 1


def own():
    return int(os.environ["RANK"])


def join(torch, line, device, size):
    """Meets the other ranks."""
    if not torch.distributed.is_available():
        raise Problem("unsupported_feature", f"torch {torch.__version__} is built without torch.distributed", "tp_plan", "install another build of torch")
    if device.type == "cuda" and torch.cuda.device_count() < size:
        there = torch.cuda.device_count()
        raise Problem("device_missing", f"{size} ranks need a GPU each, and torch finds {there}", "tp_size", f"set tp_size to {there} at most", {"gpus": there})
    rank, patience = own(), datetime.timedelta(seconds=MEET_S)
    store = torch.distributed.TCPStore(
        os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), size, rank == 0, timeout=patience, wait_for_workers=False,
        master_listen_fd=LISTENER if rank == 0 else None,
    )  # fmt: skip
    options = {}
    if device.type == "cuda":
        torch.cuda.set_device(device)
        options["device_id"] = device
    torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", store=store, rank=rank, world_size=size, **options)
    torch.distributed.barrier()
    words = memoryview(mmap.mmap(MEMORY, 8 * size)).cast("q")
    return Ranks(words, rank, size, line)


def fits(config, size):
    """Refuses a model whose heads cannot be divided among the ranks."""
    text = config.get_text_config()
    heads = getattr(text, "num_attention_heads", 0)
    for name, number in (("attention heads", heads), ("KV heads", getattr(text, "num_key_value_heads", None) or heads)):
        if number % size:
            raise Problem("unsupported_parameter", f"the model's {number} {name} cannot be divided among {size} ranks", "tp_size", "set it to a divisor of the model's heads and KV heads")


def parts(model):
    """{placement: names of parameters, without their layers}, as the loaded model
    says of itself; None stands for what every rank holds whole."""
    found = collections.defaultdict(set)
    for name, parameter in model.named_parameters():
        placements = getattr(parameter, "placements", None)
        found[placements and "/".join(map(repr, placements))].add(re.sub(r"(^|\.)\d+(?=\.)", "", name).removesuffix(".weight"))
    return found


def in_use(model):
    """Over how many ranks the parameters are split, as they say."""
    return max((p.device_mesh.size() for p in model.parameters() if hasattr(p, "device_mesh")), default=1)


def local(parameter):
    """The part of a parameter that this rank holds."""
    return parameter.to_local() if hasattr(parameter, "to_local") else parameter
