"""What differs between versions of torch and transformers. Nothing else in the
worker asks for a version."""

import os

from problems import Problem


def static_compile(fullgraph, dynamic, mode):
    """The option that makes generate compile the decode step of a static cache,
    on every kind of device."""
    from transformers import CompileConfig

    options = {"fullgraph": fullgraph, "dynamic": dynamic}
    if mode is not None:
        options["mode"] = mode
    config = CompileConfig(**options)
    config._compile_all_devices = True
    return config


def random_model(config, dtype, device, attention):
    """A model with random weights, made where they are to stay and in the
    number format that they are to have."""
    import torch
    from transformers import AutoModelForCausalLM

    options = {"dtype": dtype}
    if attention:
        options["attn_implementation"] = attention
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, **options)
    return model.to(device)  # what a model makes elsewhere on purpose, if anything


def tensor_parallel(size):
    """Options of from_pretrained that split a model over the ranks."""
    from transformers.distributed import DistributedConfig

    return {"distributed_config": DistributedConfig(tp_size=size, tp_plan="auto")}


def random_parts(config, dtype, attention, key, placing):
    """A model with random weights of which every part is made where the options of
    from_pretrained in placing put it: a checkpoint without any weight in it, whose
    missing ones are initialised. The key is the parameter that asks for this."""
    import transformers

    mapping = transformers.AutoModelForCausalLM._model_mapping
    if type(config) not in mapping:
        raise Problem("unsupported_feature", f"random weights of {type(config).__name__} cannot be spread: transformers itself has no such model", key, f"load its real weights, or leave {key} out")
    options = {"dtype": dtype, **placing}
    if attention:
        options["attn_implementation"] = attention
    loud = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()  # it lists what is missing: all
    try:
        return mapping[type(config)].from_pretrained(None, config=config, state_dict={}, **options)
    finally:
        transformers.logging.set_verbosity(loud)


def attention_in_use(model):
    config = model.config.get_text_config()
    return getattr(config, "_attn_implementation", None) or "unknown"


def no_end_of_speculation(transformers):
    """Settings of generate for speculation that ignores the end of sequence:
    earlier versions cannot do without one, so they get one that never comes."""
    version = tuple(int(part) for part in transformers.__version__.split(".")[:2])
    return {} if version >= (5, 17) else {"eos_token_id": -1, "pad_token_id": 0}


def cache_bytes_per_token(torch, layers):
    """What one token of one sequence takes in a cache, or None where its layers
    do not show their tensors."""
    total = 0
    for layer in layers:
        for tensor in (getattr(layer, "keys", None), getattr(layer, "values", None)):
            if not isinstance(tensor, torch.Tensor) or tensor.dim() != 4 or tensor.shape[-2] == 0:
                return None
            total += tensor.numel() * tensor.element_size() / tensor.shape[-2] / tensor.shape[0]
    return total or None


def will_compile(torch, model, cache, config):
    """Whether generate compiles the decode step with such a cache."""
    judge = getattr(model, "_valid_auto_compile_criteria", None)
    return compiles(torch) and judge is not None and bool(judge({"past_key_values": cache}, config))


def compiles(torch):
    """Whether torch.compile does anything: TORCH_COMPILE_DISABLE and its like make it
    do nothing, silently."""
    import torch._dynamo.config

    return not torch._dynamo.config.disable


def offloads(cache):
    """Whether a cache keeps its layers on the host."""
    return bool(getattr(cache, "offloading", False))


def commit(model, name, revision):
    """The commit of a model of the hub: newer versions of transformers do not
    keep it, and the cache's directories are called after it."""
    known = getattr(model.config, "_commit_hash", None)
    if known:
        return known
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(name, "config.json", revision=revision or "main")
    return os.path.basename(os.path.dirname(path)) if isinstance(path, str) else ""


def gpu_uuid(torch, index):
    uuid = str(getattr(torch.cuda.get_device_properties(index), "uuid", ""))
    if not uuid:
        return ""
    return uuid if uuid.startswith(("GPU-", "MIG-")) else "GPU-" + uuid


def compiled_graphs():
    """How many graphs torch.compile has made so far."""
    from torch._dynamo.utils import counters

    return int(counters["stats"]["unique_graphs"])


def batching_manager(model, generation_config, options):
    """The manager of continuous batching, and its settings. Keys of the settings
    that this version lacks are left out if they only forbid what it does not do."""
    from transformers.generation.configuration_utils import ContinuousBatchingConfig

    known = ContinuousBatchingConfig.__dataclass_fields__
    options = dict(options)
    tokens = options.pop("cache_tokens", None)
    page = options.get("page_size") or options.get("block_size") or _default(known, "page_size") or _default(known, "block_size")
    if tokens is not None and "num_blocks" not in options:
        options["num_blocks"] = -(-tokens // page)
    for key in ("auto_switch_to_flash", "seed", "allow_block_sharing"):
        if key not in known:
            options.pop(key, None)
    config = ContinuousBatchingConfig(**options)
    generation_config.eos_token_id = -1  # each request brings its own
    manager = model.init_continuous_batching(generation_config=generation_config, continuous_batching_config=config)
    return manager, page


def _default(fields, name):
    return fields[name].default if name in fields else None


def batching_config(manager):
    return getattr(manager, "continuous_batching_config", None) or manager.batch_processor.cb_config


def batching_state(manager, page):
    """What the manager really uses, after its first steps."""
    processor = manager.batch_processor
    config = batching_config(manager)
    cache = processor.cache
    return {
        "max_batch_tokens": int(cache.max_batch_tokens), "kv_cache_tokens": int(cache.num_blocks) * page,
        "batch_size": int(config.max_requests_per_batch or processor.scheduler.max_requests_per_batch),
        "prefix_caching": bool(cache.use_prefix_sharing and config.allow_block_sharing),
        "cuda_graphs": str(getattr(config, "use_cuda_graph", None)), "class": type(cache).__name__,
    }  # fmt: skip


def batching_busy(manager):
    """Whether a request is anywhere in the manager."""
    processor = manager.batch_processor
    waiting = not manager.input_queue.empty() or not getattr(manager, "cancel_queue", manager.input_queue).empty()
    return waiting or (processor is not None and processor.has_pending_requests())


def partial_output(manager, name):
    """The ids and stamps of a request that is being computed, as far as they are
    on the host."""
    scheduler = getattr(manager.batch_processor, "scheduler", None)
    state = getattr(scheduler, "active_requests", {}).get(name)
    if state is None:
        return [], []
    stamps = list(state.timestamps or [])
    return list(state.generated_tokens)[: len(stamps)], stamps


def batching_failure(manager):
    """What ended the manager's thread, or None."""
    return getattr(getattr(manager, "background_thread_status", manager), "fatal_error", None)
