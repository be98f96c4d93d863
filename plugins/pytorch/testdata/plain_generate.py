"""A plain script around model.generate, without llem: what the worker must give
token for token. Reads a list of {model, dtype, cache, beams, int8, prompts, tokens} as
JSON, writes for each the new ids of its prompts."""

import json
import sys

import torch
from transformers import AutoModelForCausalLM


def generate(wanted):
    quantised = {}
    if wanted["int8"]:
        from torchao.quantization import Int8WeightOnlyConfig
        from transformers import TorchAoConfig

        quantised["quantization_config"] = TorchAoConfig(Int8WeightOnlyConfig())
    model = AutoModelForCausalLM.from_pretrained(wanted["model"], dtype=getattr(torch, wanted["dtype"]), **quantised).eval()
    model.generation_config.eos_token_id = None
    width = max(len(prompt) for prompt in wanted["prompts"])
    ids = torch.tensor([[0] * (width - len(p)) + p for p in wanted["prompts"]])
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in wanted["prompts"]])
    options = {"cache_implementation": wanted["cache"]} if wanted["cache"] else {}
    out = model.generate(ids, attention_mask=mask, max_new_tokens=wanted["tokens"], do_sample=False, num_beams=wanted["beams"], **options)
    return out[:, width:].tolist()


json.dump([generate(wanted) for wanted in json.load(sys.stdin)], sys.stdout)
