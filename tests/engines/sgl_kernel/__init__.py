"""Stands for SGLang's compiled kernels, which are published for CUDA only: every
name can be imported, and none can be called."""

import importlib.abc
import importlib.machinery
import sys
import types

__version__ = "0.4.10"


class Kernel:
    def __init__(self, name):
        self._name = name

    def __getattr__(self, part):
        if part.startswith("__"):
            raise AttributeError(part)
        return Kernel(f"{self._name}.{part}")

    def __call__(self, *args, **kwargs):
        raise RuntimeError(f"{self._name} is a compiled kernel, and this environment has none")


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return Kernel(name)


class Submodules(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        if name.startswith("sgl_kernel."):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        module = types.ModuleType(spec.name)
        module.__path__ = []
        module.__getattr__ = __getattr__
        return module

    def exec_module(self, module):
        pass


sys.meta_path.append(Submodules())
