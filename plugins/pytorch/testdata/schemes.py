"""schemes.py WORKER_DIRECTORY: quantisation schemes that llem has no name for."""

import sys
import types

sys.path.insert(0, sys.argv[1])

import quantizing  # noqa: E402


class Tensor:
    @property
    def data(self):
        return self


class Params4bit(Tensor):
    quant_type = "fp4"


def model(*parameters, quantizer=None):
    return types.SimpleNamespace(parameters=lambda: iter(parameters), hf_quantizer=quantizer)


gptq = types.SimpleNamespace(quantization_config=types.SimpleNamespace(quant_method=types.SimpleNamespace(value="gptq")))
nameless = types.SimpleNamespace(quantization_config=None)

for given, want in [
    (model(Tensor()), "none"),
    (model(Tensor(), quantizer=gptq), "gptq"),
    (model(Tensor(), quantizer=nameless), "SimpleNamespace"),
    (model(Params4bit()), "bnb_fp4"),
]:
    assert quantizing.in_use(given) == want, (quantizing.in_use(given), want)
