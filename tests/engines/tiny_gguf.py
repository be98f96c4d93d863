"""Writes the tiny model as a GGUF file, for llama.cpp: the same weights, in 16 bits.

    tiny_gguf.py DIRECTORY FILE
"""

import json
import pathlib
import struct
import sys

import gguf
import numpy as np


def tensors(path):
    """Name and float32 values of each tensor of a safetensors file in bfloat16."""
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    for name, entry in json.loads(data[8 : 8 + size]).items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        bits = np.frombuffer(data[8 + size + begin : 8 + size + end], dtype="<u2").astype("<u4") << 16
        yield name, bits.view("<f4").reshape(entry["shape"])


BLOCK = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}  # fmt: skip
OTHER = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def rotated(tensor, heads):
    """Rows as llama.cpp pairs them for its rotary embedding."""
    rows, columns = tensor.shape
    return tensor.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def write(directory, path):
    config = json.loads((directory / "config.json").read_text())
    vocabulary = json.loads((directory / "tokenizer.json").read_text())["model"]["vocab"]
    names = sorted(vocabulary, key=vocabulary.get)
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]

    w = gguf.GGUFWriter(str(path), "llama")
    w.add_name("tiny-random")
    w.add_vocab_size(len(names))
    w.add_context_length(config["max_position_embeddings"])
    w.add_embedding_length(config["hidden_size"])
    w.add_block_count(config["num_hidden_layers"])
    w.add_feed_forward_length(config["intermediate_size"])
    w.add_head_count(heads)
    w.add_head_count_kv(kv_heads)
    w.add_layer_norm_rms_eps(config["rms_norm_eps"])
    w.add_rope_dimension_count(config["head_dim"])
    w.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    w.add_file_type(1)
    w.add_tokenizer_model("llama")  # without pieces of several characters there is nothing to merge
    w.add_token_list(["<unk>"] + ["\u2581" if name == " " else name for name in names[1:]])
    w.add_token_scores([0.0] * 3 + [-float(i) for i in range(len(names) - 3)])
    w.add_token_types([2, 3, 3] + [1] * (len(names) - 3))
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    w.add_unk_token_id(0)
    w.add_add_bos_token(False)
    w.add_add_eos_token(False)
    w.add_add_space_prefix(False)
    for name, tensor in tensors(directory / "model.safetensors"):
        name = name.removesuffix(".weight")
        if name.startswith("model.layers."):
            layer, part = name.removeprefix("model.layers.").split(".", 1)
            if part.endswith(("q_proj", "k_proj")):
                tensor = rotated(tensor, heads if part.endswith("q_proj") else kv_heads)
            name = f"blk.{layer}.{BLOCK[part]}"
        else:
            name = OTHER[name]
        w.add_tensor(name + ".weight", np.ascontiguousarray(tensor if tensor.ndim == 1 else tensor.astype(np.float16)))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


if __name__ == "__main__":
    write(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
