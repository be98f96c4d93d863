"""Names of real arguments of transformers, read from its source: an import of
it costs seconds, and some of it names its arguments only in code."""

import ast
import importlib.util
import os

# These belong to the workload, to parameters of their own, or to the worker.
RESERVED = {
    "max_new_tokens", "min_new_tokens", "max_length", "min_length", "do_sample", "temperature", "top_p", "top_k",
    "eos_token_id", "pad_token_id", "bos_token_id", "num_beams", "use_cache", "cache_implementation",
    "prompt_lookup_num_tokens", "compile_config", "disable_compile", "return_dict_in_generate", "num_return_sequences",
    "output_attentions", "output_hidden_states", "output_scores", "output_logits", "is_assistant",
    "config", "cache_dir", "force_download", "local_files_only", "token", "revision", "state_dict", "proxies",
    "output_loading_info", "dtype", "torch_dtype", "device_map", "quantization_config", "tp_plan", "tp_size", "distributed_config", "trust_remote_code",
    "attn_implementation", "generation_config", "continuous_batching_config", "max_batch_tokens", "max_requests_per_batch",
    "num_blocks", "allow_block_sharing", "seed", "auto_switch_to_flash", "device_mesh", "adapter_kwargs", "adapter_name", "tqdm_class",
}  # fmt: skip


def _function(path, class_name, name):
    with open(path, encoding="utf-8") as source:
        tree = ast.parse(source.read())
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef) and inner.name == name:
                    return inner
    return None


def _popped(function):
    """Keys that a function takes out of its **kwargs."""
    for node in ast.walk(function):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "pop"
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "kwargs"
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield node.args[0].value


def _fields(path, class_name):
    with open(path, encoding="utf-8") as source:
        tree = ast.parse(source.read())
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            return [inner.target.id for inner in node.body if isinstance(inner, ast.AnnAssign)]
    return []


def arguments():
    """{name: "generate", "from_pretrained" or "continuous"}; empty if transformers
    is absent."""
    spec = importlib.util.find_spec("transformers")
    if spec is None or spec.origin is None:
        return {}
    root = os.path.dirname(spec.origin)
    known = {}
    loading = _function(os.path.join(root, "modeling_utils.py"), "PreTrainedModel", "from_pretrained")
    if loading is not None:
        for argument in loading.args.args + loading.args.kwonlyargs:
            known[argument.arg] = "from_pretrained"
        for name in _popped(loading):
            known[name] = "from_pretrained"
    generating = _function(os.path.join(root, "generation", "configuration_utils.py"), "GenerationConfig", "__init__")
    if generating is not None:
        for name in _popped(generating):
            known[name] = "generate"
    for name in _fields(os.path.join(root, "generation", "configuration_utils.py"), "ContinuousBatchingConfig"):
        known.setdefault(name, "continuous")
    return {
        name: where
        for name, where in known.items()
        if name not in RESERVED and not name.startswith("_") and name not in ("cls", "self", "pretrained_model_name_or_path")
    }
