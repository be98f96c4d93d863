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


def torchao_scheme(scheme):
    try:
        from torchao import quantization
    except ImportError as e:
        raise Problem("engine_missing", f"quantization needs torchao: {e}", "quantization", "pip install torchao") from e
    if scheme == "torchao_int8":
        return quantization.Int8WeightOnlyConfig()
    return quantization.Int4WeightOnlyConfig()


def in_place(torch, model, scheme, device):
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
                setattr(parent, name, bnb_linear(torch, bnb, linear, scheme).to(device))


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
