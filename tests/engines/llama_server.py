"""llama.cpp's own server out of the xllamacpp wheel, with the flags of llama-server
that the tests need. The code that serves is llama.cpp's; only the reading of the
flags is not."""

import sys
import threading

import xllamacpp

params = xllamacpp.CommonParams()
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
params.warmup = False

FLAGS = {
    "-m": lambda v: setattr(params.model, "path", v),
    "--host": lambda v: setattr(params, "hostnames", [v]),
    "--port": lambda v: setattr(params, "port", int(v)),
    "-c": lambda v: setattr(params, "n_ctx", int(v)),
    "-np": lambda v: setattr(params, "n_parallel", int(v)),
    "-b": lambda v: setattr(params, "n_batch", int(v)),
    "-ub": lambda v: setattr(params, "n_ubatch", int(v)),
    "--fit": lambda v: setattr(params, "fit_params", v == "on"),
    "--log-verbosity": lambda v: setattr(params, "verbosity", int(v)),
}
SWITCHES = {
    "--metrics": lambda: setattr(params, "endpoint_metrics", True),
    "--no-cache-prompt": lambda: setattr(params, "cache_prompt", False),
}


def threads(value):
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = int(value)


FLAGS["-t"] = threads
arguments = iter(sys.argv[1:])
for flag in arguments:
    if flag in SWITCHES:
        SWITCHES[flag]()
    elif flag in FLAGS:
        FLAGS[flag](next(arguments))
    else:
        sys.exit(f"error: invalid argument: {flag}")
try:
    server = xllamacpp.Server(params)
except Exception as error:  # what llama-server says before it ends
    sys.exit(f"error: failed to load model, '{params.model.path}': {error}")
try:
    threading.Event().wait()
except KeyboardInterrupt:  # an orderly end
    pass
