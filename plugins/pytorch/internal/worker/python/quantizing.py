"""Quantisation schemes: as an option of from_pretrained, and in place for
random weights, which are in no file that could be quantised while loading."""

from problems import Problem


def config(torch, scheme):
    import transformers

    if scheme == "bnb_int8":
        return transformers.BitsAndBytesConfig(load_in_8bit=True)
    if scheme == "bnb_nf4":
        return transformers.BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16)
    return transformers.TorchAoConfig(torchao_scheme(scheme))


def in_use(model):
    """The scheme by the classes in which weights are stored: "none" for plain tensors,
    for one that has no name here the method that the checkpoint gives itself, or the
    class."""
    found = set()
    for parameter in model.parameters():
        for tensor in (parameter, parameter.data):
            kind = type(tensor)
            if kind.__name__ == "Int8Params":
                found.add("bnb_int8")
            elif kind.__name__ == "Params4bit":
                found.add(f"bnb_{getattr(tensor, 'quant_type', '4bit')}")
            elif kind.__module__.startswith("torchao"):
                found.add("torchao_" + ("int4" if "Int4" in kind.__name__ or getattr(tensor, "quant_max", None) == 15 else "int8" if is_int8(tensor) else kind.__name__))
    if found:
        return "+".join(sorted(found))
    quantizer = getattr(model, "hf_quantizer", None)
    if quantizer is None:
        return "none"
    method = getattr(quantizer.quantization_config, "quant_method", type(quantizer).__name__)
    return str(getattr(method, "value", method))


def is_int8(tensor):
    return "Int8" in type(tensor).__name__ or getattr(tensor, "quant_max", None) == 127


def torchao_scheme(scheme):
    try:
        from torchao import quantization
    except ImportError as e:
        raise Problem("engine_missing", f"quantization needs torchao: {e}", "quantization", "pip install torchao") from e
    if scheme == "torchao_int8":
        return quantization.Int8WeightOnlyConfig()
    return quantization.Int4WeightOnlyConfig()


def in_place(torch, model, scheme):
    if any(parameter.is_meta for parameter in model.parameters()):
        raise Problem("unsupported_feature", "not all of the model fits on the GPUs, and random weights that are kept elsewhere cannot be quantised", "quantization", "leave it out, or use more GPUs")
    if scheme.startswith("torchao"):
        from torchao.quantization import quantize_

        kind = torchao_scheme(scheme)
        head = model.get_output_embeddings()
        quantize_(model, kind, filter_fn=lambda module, _: isinstance(module, torch.nn.Linear) and module is not head)
        return
    try:
        import bitsandbytes as bnb
    except ImportError as e:
        raise Problem("engine_missing", f"quantization needs bitsandbytes: {e}", "quantization", "pip install bitsandbytes") from e
    head = model.get_output_embeddings()
    for parent in list(model.modules()):
        for name, linear in list(parent.named_children()):
            if type(linear) is torch.nn.Linear and linear is not head:
                setattr(parent, name, bnb_linear(torch, bnb, linear, scheme).to(linear.weight.device))


def bnb_linear(torch, bnb, linear, scheme):
    weight = linear.weight.data.to("cpu")  # it is quantised on its way to the device
    bias = linear.bias is not None
    if scheme == "bnb_int8":
        new = bnb.nn.Linear8bitLt(linear.in_features, linear.out_features, bias=bias, has_fp16_weights=False, threshold=6.0, device="meta")
        new.weight = bnb.nn.Int8Params(weight.to(torch.float16), requires_grad=False, has_fp16_weights=False)
    else:
        new = bnb.nn.Linear4bit(linear.in_features, linear.out_features, bias=bias, compute_dtype=torch.bfloat16, quant_type="nf4", device="meta")
        new.weight = bnb.nn.Params4bit(weight, requires_grad=False, quant_type="nf4", module=new)
    if bias:
        new.bias = linear.bias
    return new
