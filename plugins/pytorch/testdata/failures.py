"""Failures that a test cannot make for real, raised by hand."""

import errno
import sys

sys.path.insert(0, sys.argv[1])
import torch  # noqa: E402

import generating  # noqa: E402
import problems  # noqa: E402
import ranks  # noqa: E402

LOAD = {"call": "load"}


def caught(failure):
    try:
        raise RuntimeError("cannot read the weights") from failure
    except RuntimeError as e:
        return problems.classify(e, LOAD, None)


for number in (errno.ENOSPC, errno.EDQUOT):
    full = caught(OSError(number, "No space left on device"))
    assert full.code == "internal" and "no space" in full.message and "HF_HOME" in full.advice, vars(full)


class Engine(generating.Engine):
    """An engine whose GPU holds batches of at most three."""

    def __init__(self):
        self.torch, self.gpus, self.batch_size, self.fitted, self.server, self.ranks = torch, [0], 16, 2, None, None
        self.current = {"prompt_lengths": [5] * 16, "max_tokens": [4] * 16}, b""

    def fits(self, call, data, size):
        if size > 8:
            raise AssertionError("larger than half of the batch")
        if size > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return True


torch.cuda.empty_cache = lambda: None
torch.cuda.mem_get_info = lambda gpu: (1, 10)
torch.cuda.max_memory_allocated = lambda gpu: 9
problem = problems.classify(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), {"call": "pass"}, Engine())
assert problem.code == "out_of_memory" and problem.key == "batch_size", vars(problem)
assert problem.numbers == {
    "batch_size": 16, "free_bytes": 1, "total_bytes": 10, "peak_bytes": 9, "largest_batch_that_ran": 2, "largest_batch_that_fits": 2,
}, problem.numbers  # fmt: skip
assert "one of 2 should" in problem.advice, problem.advice

engine = Engine()
engine.ranks = object()  # the others would not take part in another try
problem = problems.classify(torch.OutOfMemoryError("CUDA out of memory"), {"call": "pass"}, engine)
assert problem.numbers["largest_batch_that_ran"] == 2 and "largest_batch_that_fits" not in problem.numbers, vars(problem)

engine = Engine()
engine.server = object()  # continuous batching has no batch of one size
problem = problems.classify(torch.OutOfMemoryError("CUDA out of memory"), {"call": "serve"}, engine)
assert problem.code == "out_of_memory" and "kv_cache_tokens" in problem.advice and "batch_size" not in problem.numbers, vars(problem)


class Config:
    num_attention_heads, num_key_value_heads = 8, 4

    def get_text_config(self):
        return self


ranks.fits(Config(), 4)
for size, words in ((3, "8 attention heads"), (8, "4 KV heads")):
    try:
        ranks.fits(Config(), size)
        raise AssertionError(f"{size} ranks")
    except problems.Problem as refused:
        assert refused.key == "tp_size" and words in refused.message, vars(refused)
