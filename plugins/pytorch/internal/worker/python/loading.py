"""Brings a model to where it can answer, and reads back what it really is."""

import importlib.metadata
import os

import compat
import names
import placing
import ranks
from problems import Problem

# A generate of this size is made at the end of a load: it finds what cannot
# work before anything is measured, and shows which cache is in use.
TRIAL_PROMPT, TRIAL_TOKENS = 4, 2


def load(line, call):
    line.stage("start", "begin", "importing torch and transformers")
    torch, transformers = import_engine()
    line.stage("start", "end")
    p = call["parameters"]
    extra(p, "generate")  # a misspelt name is found before weights are read
    size = ranks.count(p)
    device = choose_device(torch, p.get("device"), ranks.own() if size > 1 else 0)
    warnings = []
    set_switches(torch, p, device, warnings)
    model_call = call["model"]
    config = read_config(transformers, line, model_call, p)
    group = None
    if size > 1:
        ranks.fits(config, size)
        line.stage("start", "begin", "meeting the other ranks")
        group = ranks.join(torch, line, device, size)
        line.stage("start", "end")
    dtype = choose_dtype(torch, p.get("dtype"), device, model_call["random"])
    line.stage("weights", "begin", "random weights" if model_call["random"] else model_call["name"])
    if model_call["random"]:
        model = make_random(torch, p, config, dtype, device, model_call["seed"], warnings)
    else:
        model = read_weights(torch, transformers, p, model_call, dtype, device, warnings)
    if ranks.in_use(model) != size:
        raise Problem("unsupported_parameter", f"the installed transformers has no plan to split {type(model).__name__} over {size} ranks", "tp_plan", "leave tp_plan out, or spread whole layers with device_map")
    assistant = read_assistant(torch, transformers, p, model, device)
    model.eval().requires_grad_(False)
    for index in placing.gpus(model):
        torch.cuda.synchronize(index)
    line.stage("weights", "end")

    from generating import Engine

    engine = Engine(torch, transformers, model, assistant, device, p, warnings, group)
    engine.model_call = model_call
    line.stage("start", "begin", "a first generate")
    engine.trial(TRIAL_PROMPT, TRIAL_TOKENS)
    engine.compile_forward()
    if p.get("batching") == "continuous":
        engine.start_server(call["serve"])
    line.stage("start", "end")
    return engine


def import_engine():
    try:
        import torch
    except ImportError as e:
        raise Problem("engine_missing", f"torch cannot be imported: {e}", "python", "pip install torch transformers") from e
    try:
        import transformers
    except ImportError as e:
        raise Problem("engine_missing", f"transformers cannot be imported: {e}", "python", "pip install --upgrade transformers, which also installs what it needs") from e
    return torch, transformers


def choose_device(torch, wanted, index):
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        built = torch.version.cuda
        if built is None:
            raise Problem("device_missing", f"torch {torch.__version__} is built without CUDA", "device", "install a CUDA build of torch, or set device = \"cpu\"")
        raise Problem("device_missing", f"torch {torch.__version__} (CUDA {built}) finds no GPU", "device", "check `nvidia-smi` and the driver's version, or set device = \"cpu\"")
    if wanted == "cuda" or (wanted is None and available):
        return torch.device("cuda", index)
    return torch.device("cpu")


def set_switches(torch, p, device, warnings):
    """The process-wide settings, each read back by the report."""
    if "num_threads" in p:
        torch.set_num_threads(p["num_threads"])
    if "interop_threads" in p:
        torch.set_num_interop_threads(p["interop_threads"])
    if "matmul_precision" in p:
        torch.set_float32_matmul_precision(p["matmul_precision"])
    if "allow_tf32" in p:
        torch.backends.cuda.matmul.allow_tf32 = p["allow_tf32"]
        torch.backends.cudnn.allow_tf32 = p["allow_tf32"]
    if "cudnn_benchmark" in p:
        torch.backends.cudnn.benchmark = p["cudnn_benchmark"]
    if device.type == "cpu":
        for key in ("allow_tf32", "cudnn_benchmark"):
            if key in p:
                warnings.append(dormant(key, f"{key} has no effect on the CPU"))


def dormant(key, message):
    return {"code": "dormant_parameter", "message": message, "key": key}


def choose_dtype(torch, wanted, device, random):
    if wanted is None:
        return torch.bfloat16 if random else "auto"
    return getattr(torch, wanted)


def read_config(transformers, line, model_call, p):
    if "config" in model_call:
        fields = dict(model_call["config"])
        return transformers.AutoConfig.for_model(fields.pop("model_type"), **fields)
    if model_call["random"] or ranks.count(p) > 1:
        line.stage("download", "begin", "config of " + model_call["name"])
        config = transformers.AutoConfig.from_pretrained(model_call["name"], **source(model_call, p))
        line.stage("download", "end")
        return config
    return None


def source(model_call, p):
    options = {"trust_remote_code": p.get("trust_remote_code", False)}
    if model_call.get("revision"):
        options["revision"] = model_call["revision"]
    if model_call["local"]:
        options["local_files_only"] = True
    return options


def make_random(torch, p, config, dtype, device, seed, warnings):
    torch.manual_seed(seed)
    attention, more = p.get("attn_implementation"), extra(p, "from_pretrained")
    if ranks.count(p) > 1:
        return compat.random_parts(config, dtype, attention, "tp_plan", {**more, **compat.tensor_parallel(ranks.count(p))})
    if placing.wanted(p):
        model = compat.random_parts(config, dtype, attention, "device_map", {**more, "device_map": placing.wanted(p)})
    else:
        model = compat.random_model(config, dtype, device, attention)
        for key in more:
            warnings.append(dormant("extra." + key, f"random weights on one device are made without from_pretrained, which {key} belongs to"))
    if scheme(p) is not None:
        import quantizing

        quantizing.in_place(torch, model, scheme(p))
    return model


def scheme(p):
    """The quantisation that the parameters ask for, or None."""
    name = p.get("quantization", "none")
    return None if name == "none" else name


def read_weights(torch, transformers, p, model_call, dtype, device, warnings):
    options = source(model_call, p)
    options["dtype"] = dtype
    if "attn_implementation" in p:
        options["attn_implementation"] = p["attn_implementation"]
    options.update(extra(p, "from_pretrained"))
    if ranks.count(p) > 1:
        options.update(compat.tensor_parallel(ranks.count(p)))
        return whole(transformers, model_call, options, warnings)
    if scheme(p) is not None:
        import quantizing

        options["quantization_config"] = quantizing.config(torch, scheme(p))
    placed = placing.wanted(p)
    if placed is None and (scheme(p) is not None or has("accelerate")):
        placed = {"": device}
    if placed is not None:
        options["device_map"] = placed
    model = whole(transformers, model_call, options, warnings)
    if placed is None:
        model.to(device)
    return model


def whole(transformers, model_call, options, warnings):
    """Reads a model, and refuses one of which weights are missing: transformers makes
    random ones in their place, and goes on. Tied weights and what it knows to be made
    anew are not among them. How quantised weights are called in a checkpoint is their
    scheme's own matter: of these it is a warning."""
    model, found = transformers.AutoModelForCausalLM.from_pretrained(model_call["name"], output_loading_info=True, **options)
    missing, left = sorted(found.get("missing_keys") or ()), sorted(found.get("unexpected_keys") or ())
    if missing:
        message = f"{model_call['name']} has no weights for {some(missing)} of {type(model).__name__}"
        if getattr(model, "hf_quantizer", None) is None:
            advice = "copy or download all of its files, and check that it is a model for text generation: random weights would stand for what is missing"
            raise Problem("model_missing", message, "model.path" if model_call["local"] else "model.id", advice)
        warnings.append({"code": "weights_missing", "message": message + ": transformers has made random ones"})
    if left:
        message = f"{model_call['name']} has weights that {type(model).__name__} does not use: {some(left)}"
        warnings.append({"code": "weights_unused", "message": message})
    return model


def some(names):
    """A few of the names, and how many more there are."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def read_assistant(torch, transformers, p, model, device):
    name = p.get("assistant_model")
    if name is None:
        return None
    assistant = transformers.AutoModelForCausalLM.from_pretrained(name, dtype=model.dtype, trust_remote_code=p.get("trust_remote_code", False))
    return assistant.to(device).eval().requires_grad_(False)


def extra(p, where):
    """The part of the free table that goes to one of the two functions."""
    table = p.get("extra") or {}
    if not table:
        return {}
    known = names.arguments()
    for key in table:
        if key not in known:
            raise Problem("unsupported_parameter", f"neither generate nor from_pretrained has an argument {key!r}", "extra." + key)
    return {key: by_number(value) if key == "max_memory" else value for key, value in table.items() if known[key] == where}


def by_number(table):
    """GPUs are numbers, and keys of a study are text."""
    return {int(key) if str(key).isdigit() else key: value for key, value in table.items()}


def has(package):
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def packages(torch):
    found = [{"name": "torch", "version": torch.__version__}]
    for name in ("transformers", "safetensors", "tokenizers", "huggingface-hub", "accelerate", "bitsandbytes", "torchao", "flash-attn", "triton"):
        if has(name):
            found.append({"name": name, "version": importlib.metadata.version(name)})
    if torch.version.cuda:
        found.append({"name": "cuda", "version": torch.version.cuda})
    if torch.cuda.is_available():
        found.append({"name": "cudnn", "version": str(torch.backends.cudnn.version())})
    found.append({"name": "python", "version": os.sys.version.split()[0]})
    return found
