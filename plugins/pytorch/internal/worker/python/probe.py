"""Says what a Python environment and its machine have, as one line of JSON,
without importing torch or touching a device beyond asking the driver's
management library."""

import ctypes
import importlib.metadata
import importlib.util
import json
import os
import sys

import names

PACKAGES = (
    "torch", "transformers", "safetensors", "accelerate", "bitsandbytes", "torchao", "flash-attn", "flash-attn-3",
    "kernels", "optimum-quanto", "hqq", "triton", "psutil",
)  # fmt: skip


def versions():
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass
    return found


def torch_build():
    """The CUDA version that torch was built for: "" = a build without."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return ""
    values = {}
    try:
        with open(os.path.join(os.path.dirname(spec.origin), "version.py"), encoding="utf-8") as source:
            exec(source.read(), values)  # assignments only
    except OSError:
        return ""
    return values.get("cuda") or ""


def gpus():
    """The GPUs that the driver names, by UUID with their memory and compute
    capability; none without a driver."""
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return []
    if nvml.nvmlInit_v2() != 0:
        return []
    found, count = [], ctypes.c_uint()
    nvml.nvmlDeviceGetCount_v2(ctypes.byref(count))
    for index in range(count.value):
        handle = ctypes.c_void_p()
        if nvml.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(handle)) != 0:
            continue
        uuid = ctypes.create_string_buffer(96)
        nvml.nvmlDeviceGetUUID(handle, uuid, 96)
        major, minor = ctypes.c_int(), ctypes.c_int()
        nvml.nvmlDeviceGetCudaComputeCapability(handle, ctypes.byref(major), ctypes.byref(minor))
        memory = (ctypes.c_ulonglong * 3)()
        nvml.nvmlDeviceGetMemoryInfo(handle, memory)
        found.append({
            "uuid": uuid.value.decode(), "capability": major.value * 10 + minor.value, "memory_bytes": memory[0],
        })  # fmt: skip
    nvml.nvmlShutdown()
    return found


print(json.dumps({
    "python": sys.version.split()[0], "executable": sys.executable, "packages": versions(), "cuda": torch_build(),
    "gpus": gpus(), "arguments": names.arguments(),
}))  # fmt: skip
