"""What was really loaded, read back from torch and transformers."""

import collections
import os

import compat
import loading
import ranks


def report(engine):
    torch, model, p = engine.torch, engine.model, engine.p
    resolved = {}
    types = weight_types(model)
    main = max(types, key=types.get) if types else "unknown"
    floats = {t: n for t, n in types.items() if t in ("float32", "float16", "bfloat16")}
    if floats:
        resolved["dtype"] = str(model.dtype).removeprefix("torch.") if str(model.dtype).removeprefix("torch.") in floats else max(floats, key=floats.get)
    resolved["device"] = engine.device.type
    resolved["attn_implementation"] = compat.attention_in_use(model)
    resolved["num_threads"] = torch.get_num_threads()
    resolved["interop_threads"] = torch.get_num_interop_threads()
    resolved["matmul_precision"] = torch.get_float32_matmul_precision()
    resolved["allow_tf32"] = bool(torch.backends.cuda.matmul.allow_tf32)
    resolved["cudnn_benchmark"] = bool(torch.backends.cudnn.benchmark)
    resolved["cache_implementation"] = cache_name(engine)
    resolved["use_cache"] = bool(engine.cache_classes) if engine.assistant is None else p.get("use_cache", True)
    resolved["compile"] = engine.compiled
    if engine.ranks is not None:
        resolved["tp_plan"], resolved["tp_size"] = "auto", ranks.in_use(model)
    warnings = list(engine.warnings)
    if engine.server is not None:
        state = compat.batching_state(engine.server.manager, engine.server.settings)
        resolved["cache_implementation"], engine.cache_classes = None, [state.pop("class")]
        engine.cuda_graphs = state.pop("cuda_graphs")
        resolved.update(state)
        resolved["attn_implementation"] = resolved["attn_implementation"].removeprefix("paged|")
    for key in ("compile", "dtype", "attn_implementation", "cache_implementation", "use_cache", "batch_size", "max_batch_tokens", "prefix_caching", "num_threads", "interop_threads", "matmul_precision", "tp_size"):
        if key in p and key in resolved and resolved[key] is not None and resolved[key] != p[key]:
            warnings.append(loading.dormant(key, f"{key} = {p[key]!r} was asked for, and {resolved[key]!r} is in use"))
    if "quantization" in p and not packed(model):
        warnings.append(loading.dormant("quantization", f"quantization = {p['quantization']!r} was asked for, and no weight is quantised"))
    if resolved["cache_implementation"] is None:
        del resolved["cache_implementation"]
    text = model.config.get_text_config()
    return {
        "packages": loading.packages(torch), "resolved": resolved, "warnings": warnings, "devices": devices(engine),
        "details": details(engine, types),
        "model": {
            "revision": revision(engine),
            "architecture": type(model).__name__,
            "parameters": sum(count for count in logical_sizes(model)),
            "layers": getattr(text, "num_hidden_layers", None), "heads": getattr(text, "num_attention_heads", None),
            "kv_heads": getattr(text, "num_key_value_heads", None) or getattr(text, "num_attention_heads", None),
            "vocab": getattr(text, "vocab_size", None), "weight_type": main,
            "context": getattr(text, "max_position_embeddings", None),
        },
    }  # fmt: skip


def revision(engine):
    call = engine.model_call
    if call["local"] or "config" in call:
        return ""
    return compat.commit(engine.model, call["name"], call["revision"])


def weight_types(model):
    """Elements by the type in which they are stored."""
    types = collections.Counter()
    for parameter in model.parameters():
        types[str(parameter.dtype).removeprefix("torch.")] += parameter.numel()
    return types


def packed(model):
    """Classes of the weights that are stored as something else than a tensor of
    numbers: how bitsandbytes and torchao keep quantised ones."""
    names = {type(tensor).__name__ for p in model.parameters() for tensor in (p, p.data)}
    return sorted(names - {"Parameter", "Tensor", "DTensor"})


def logical_sizes(model):
    """Elements of each parameter before packing: 4-bit weights are stored two to
    a byte and know their shape."""
    for parameter in model.parameters():
        state = getattr(parameter, "quant_state", None)
        shape = getattr(state, "shape", None)
        yield shape.numel() if shape is not None else parameter.numel()


def cache_name(engine):
    classes = engine.cache_classes
    if not classes:
        return None
    whole = classes[0]
    if "Quantized" in whole:
        return "quantized"
    offloaded = engine.options.get("cache_implementation", "") in ("offloaded", "offloaded_static")
    static = any("Static" in name for name in classes)
    return {(False, False): "dynamic", (True, False): "static", (False, True): "offloaded", (True, True): "offloaded_static"}[static, offloaded]


def devices(engine):
    torch = engine.torch
    first = engine.ranks.rank if engine.ranks is not None else 0
    if engine.device.type != "cuda":
        return [{"id": "cpu", "kind": "cpu", "rank": first, "pid": os.getpid()}]
    return [{"id": compat.gpu_uuid(torch, i), "kind": "gpu", "rank": first + at, "pid": os.getpid()} for at, i in enumerate(engine.gpus)]


def details(engine, types):
    """Facts that are no parameter: they are recorded as packages are."""
    blocks = collections.Counter()
    for parameter in map(ranks.local, engine.model.parameters()):
        blocks[str(parameter.device)] += parameter.numel()
    facts = {
        "attention class": attention_class(engine.model),
        "class of quantised weights": "/".join(packed(engine.model)) or "none",
        "cache class": "/".join(engine.cache_classes) or "none",
        "weights by type": ", ".join(f"{t} {n}" for t, n in sorted(types.items())),
        "weights by device": ", ".join(f"{d} {n}" for d, n in sorted(blocks.items())),
    }
    if engine.ranks is not None:
        split = ranks.parts(engine.model)
        facts["exchanges between ranks"] = engine.torch.distributed.get_backend()
        facts["weights by ranks"] = "; ".join(f"{placement or 'whole'}: {', '.join(sorted(names))}" for placement, names in sorted(split.items(), key=str))
    if engine.server is not None:
        facts["CUDA graphs of (prefill, decode)"] = engine.cuda_graphs
    if engine.device.type == "cuda":
        facts["device name"] = engine.torch.cuda.get_device_name(engine.gpus[0])
    return facts


def attention_class(model):
    for module in model.modules():
        if type(module).__name__.endswith("Attention"):
            return type(module).__name__
    return "unknown"
