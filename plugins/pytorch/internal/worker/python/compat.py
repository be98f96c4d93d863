"""What differs between versions of torch and transformers. Nothing else in the
worker asks for a version."""

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
        return AutoModelForCausalLM.from_config(config, **options)


def attention_in_use(model):
    config = model.config.get_text_config()
    return getattr(config, "_attn_implementation", None) or "unknown"


def gpu_uuid(torch, index):
    uuid = str(getattr(torch.cuda.get_device_properties(index), "uuid", ""))
    if not uuid:
        return ""
    return uuid if uuid.startswith(("GPU-", "MIG-")) else "GPU-" + uuid


def compiled_graphs():
    """How many graphs torch.compile has made so far."""
    from torch._dynamo.utils import counters

    return int(counters["stats"]["unique_graphs"])
