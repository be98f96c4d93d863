"""What was really loaded, read back from torch and transformers."""

import collections
import os

import compat
import loading
import placing
import quantizing
import ranks


def report(engine):
    model = engine.model
    types = weight_types(model)
    main = max(types, key=types.get) if types else "unknown"
    resolved = in_use(engine, types)
    warnings = engine.warnings + not_in_use(engine, resolved)
    text = model.config.get_text_config()
    return {
        "packages": loading.packages(engine.torch), "resolved": resolved, "warnings": warnings, "devices": devices(engine),
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


def in_use(engine, types):
    """The parameters as torch, transformers and the loaded model have them; None
    where there is nothing of the kind. What is handed on with every call, and what
    only this worker does, is as it is held here."""
    torch, model, p, asked = engine.torch, engine.model, engine.p, engine.asked
    resolved = {}
    floats = {t: n for t, n in types.items() if t in ("float32", "float16", "bfloat16")}
    if floats:
        resolved["dtype"] = str(model.dtype).removeprefix("torch.") if str(model.dtype).removeprefix("torch.") in floats else max(floats, key=floats.get)
    resolved["device"] = "cuda" if engine.gpus else "cpu"
    resolved["device_map"] = placing.in_use(model, placing.wanted(p))
    resolved["quantization"] = quantizing.in_use(model)
    resolved["attn_implementation"] = compat.attention_in_use(model)
    resolved["num_threads"] = torch.get_num_threads()
    resolved["interop_threads"] = torch.get_num_interop_threads()
    resolved["matmul_precision"] = torch.get_float32_matmul_precision()
    resolved["allow_tf32"] = bool(torch.backends.cuda.matmul.allow_tf32)
    resolved["cudnn_benchmark"] = bool(torch.backends.cudnn.benchmark)
    resolved["cache_implementation"] = cache_name(engine)
    resolved["use_cache"] = bool(engine.cache_classes)
    resolved["compile"] = engine.compiled
    resolved["inference_mode"] = engine.inference_mode
    resolved["batch_size"], resolved["padding_side"] = engine.batch_size, engine.padding_side
    resolved["batching"] = "length_sorted" if engine.length_sorted else "in_order"
    resolved["prefix_caching"] = False
    resolved["num_beams"] = asked.num_beams
    resolved["prompt_lookup_num_tokens"] = asked.prompt_lookup_num_tokens
    resolved["assistant_model"] = engine.assistant and engine.assistant.config.name_or_path
    if "tp_size" in p:
        resolved["tp_size"] = ranks.in_use(model)
    if engine.server is not None:
        state = compat.batching_state(engine.server.manager, engine.server.settings)
        resolved["cache_implementation"], engine.cache_classes = None, [state.pop("class")]
        resolved["batching"] = "continuous"
        engine.cuda_graphs = state.pop("cuda_graphs")
        resolved.update(state)
        resolved["attn_implementation"] = resolved["attn_implementation"].removeprefix("paged|")
    return resolved


# Whole pages of the cache may be more than was asked for.
ROUNDED = ("kv_cache_tokens",)


def not_in_use(engine, resolved):
    """A warning for each parameter that was asked for and is not as it was asked."""
    warnings = []
    for key, value in engine.p.items():
        used = resolved.get(key)
        if used is not None and used != value and key not in ROUNDED:
            where = f": all weights are on {', '.join(placing.elements(engine.model))}" if key == "device_map" else ""
            warnings.append(loading.dormant(key, f"{key} = {value!r} was asked for, and {used!r} is in use{where}"))
    held = [(engine.extra, engine.asked)]
    if engine.server is not None:
        held = [(engine.continuous_extra, compat.batching_config(engine.server.manager))]
    for table, config in held:
        for key, value in table.items():
            used = getattr(config, key, None)
            if isinstance(value, (bool, int, float, str)) and used not in (value, (value, value)):  # of (prefill, decode)
                warnings.append(loading.dormant("extra." + key, f"{key} = {value!r} was asked for, and {type(config).__name__} has {used!r}"))
    return warnings


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
    static = any("Static" in name for name in classes)
    return {(False, False): "dynamic", (True, False): "static", (False, True): "offloaded", (True, True): "offloaded_static"}[static, engine.cache_offloaded]


def devices(engine):
    """Those that hold a part of the model, here or for the GPUs to copy."""
    rank = engine.ranks.rank if engine.ranks is not None else 0
    found = [{"id": compat.gpu_uuid(engine.torch, i), "kind": "gpu"} for i in engine.gpus]
    if placing.elements(engine.model).keys() & {"cpu", placing.OFFLOADED}:
        found.append({"id": "cpu", "kind": "cpu"})
    return [{**device, "rank": rank + at, "pid": os.getpid()} for at, device in enumerate(found)]


def details(engine, types):
    """Facts that are no parameter: they are recorded as packages are."""
    held = placing.elements(engine.model)
    facts = {
        "attention class": attention_class(engine.model),
        "class of quantised weights": "/".join(packed(engine.model)) or "none",
        "cache class": "/".join(engine.cache_classes) or "none",
        "weights by type": ", ".join(f"{t} {n}" for t, n in sorted(types.items())),
        "weights by device": ", ".join(f"{d} {n}" for d, n in sorted(held.items())),
    }
    if len(held) > 1:
        facts["modules by device"] = placing.text(engine.model)
    if engine.server is None:
        facts["generation mode"] = str(engine.asked.get_generation_mode(engine.assistant)).rpartition(".")[2].lower()
    if engine.ranks is not None:
        split = ranks.parts(engine.model)
        facts["exchanges between ranks"] = engine.torch.distributed.get_backend()
        facts["weights by ranks"] = "; ".join(f"{placement or 'whole'}: {', '.join(sorted(names))}" for placement, names in sorted(split.items(), key=str))
    if engine.server is not None:
        facts["CUDA graphs of (prefill, decode)"] = engine.cuda_graphs
    if engine.gpus:
        facts["device name"] = engine.torch.cuda.get_device_name(engine.gpus[0])
    return facts


def attention_class(model):
    for module in model.modules():
        if type(module).__name__.endswith("Attention"):
            return type(module).__name__
    return "unknown"
