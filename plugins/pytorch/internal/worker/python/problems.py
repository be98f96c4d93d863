"""Failures as the contract tells them: a code, what was attempted, and what to
try next."""

import errno
import os
import traceback


class Problem(Exception):
    def __init__(self, code, message, key="", advice="", numbers=None):
        super().__init__(message)
        self.code, self.message, self.key, self.advice = code, message, key, advice
        self.numbers = numbers or {}


def describe(failure, call, engine):
    problem = failure if isinstance(failure, Problem) else classify(failure, call, engine)
    if not isinstance(failure, Problem):
        traceback.print_exception(failure)  # to the log; the message is for people
    return {
        "code": problem.code, "message": problem.message, "key": problem.key, "advice": problem.advice,
        "numbers": problem.numbers,
    }  # fmt: skip


def chain(failure):
    while failure is not None:
        yield failure
        failure = failure.__cause__ or failure.__context__


def text_of(failure):
    lines = [line.strip() for line in str(failure).splitlines() if line.strip()]
    return (f"{type(failure).__name__}: " + " ".join(lines))[:1200]


def classify(failure, call, engine):
    names = {type(f).__name__ for f in chain(failure)}
    text = text_of(failure)
    low = text.lower()
    if is_out_of_memory(failure, low):
        return out_of_memory(text, call, engine)
    for f in chain(failure):
        if isinstance(f, OSError) and f.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return Problem(
                "internal", f"no space is left for a file, on the disk or under a limit (df, quota, ulimit -f): {text_of(f)}",
                advice=f"free space, or move the hub's cache with HF_HOME; it is in {hub_cache()}",
            )  # fmt: skip
    if "GatedRepoError" in names or "gated repo" in low:
        return Problem(
            "permission", text, "model.id",
            "accept the model's licence on its hub page and log in: `hf auth login`, or set HF_TOKEN",
        )  # fmt: skip
    if "LocalEntryNotFoundError" in names or "OfflineModeIsEnabled" in names or "couldn't connect" in low:
        return Problem(
            "model_missing", text, "model.id",
            "the model is not in the hub's cache and the hub cannot be reached; download it beforehand with `hf download`, or set model.path",
        )  # fmt: skip
    if names & {"RepositoryNotFoundError", "RevisionNotFoundError", "HFValidationError", "EntryNotFoundError"} or "is not a valid model identifier" in low:
        return Problem("model_missing", text, "model.id", "check model.id and model.revision; a private model needs `hf auth login` or HF_TOKEN")
    if names & {"SafetensorError"} or "safetensors" in low:
        return Problem("model_missing", text, "model.path", "the files of the weights are missing or damaged; copy or download them anew")
    if call["call"] == "load":
        if isinstance(failure, ImportError) or "requires `accelerate`" in low:
            return Problem("engine_missing", text, advice="install what is missing into the environment of `python`")
        if isinstance(failure, FileNotFoundError) or (isinstance(failure, OSError) and "does not appear to have a file" in low):
            return Problem("model_missing", text, "model.path", "name a directory as save_pretrained writes it")
        if "trust_remote_code" in low:
            return Problem("unsupported_parameter", text, "trust_remote_code", "read the model's own code first; then set trust_remote_code = true")
        if isinstance(failure, (ValueError, TypeError, NotImplementedError)):
            return Problem("unsupported_parameter", text, "", "this combination is not supported by the installed transformers; see the plugin's log")
    return Problem("internal", text, advice="the traceback is in the trial's log")


def is_out_of_memory(failure, low):
    if isinstance(failure, MemoryError) or "out of memory" in low or "can't allocate memory" in low:
        return True
    return type(failure).__name__ == "OutOfMemoryError"


def out_of_memory(text, call, engine):
    numbers, advice = {}, "use a smaller model, dtype or batch_size"
    if engine is not None:
        numbers, advice = engine.memory_advice(call)
    return Problem("out_of_memory", text, "batch_size", advice, numbers)


def hub_cache():
    home = os.environ.get("HF_HOME") or os.path.join(os.path.expanduser("~"), ".cache", "huggingface")
    return os.environ.get("HF_HUB_CACHE") or os.path.join(home, "hub")
