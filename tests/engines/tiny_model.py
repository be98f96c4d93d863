"""Writes a tiny Llama with random weights and a tokenizer, for tests of engines.

    tiny_model.py DIRECTORY

Every engine loads it, and all give the same greedy ids for the same prompt. It
is the same bytes wherever it is made: only raw 64-bit draws of PCG64 are used,
one stream for each tensor, which numpy promises to keep. One character is one
token, so any count of tokens can be checked by hand.
"""

import hashlib
import json
import pathlib
import struct
import sys

import numpy as np

HIDDEN, LAYERS, HEADS, KV_HEADS, FFN, VOCAB, CONTEXT = 256, 6, 8, 4, 704, 2048, 2048
HEAD_DIM, SEED, STD = HIDDEN // HEADS, 0, 0.02


def normal(name, shape):
    """About normally distributed: sums of four 16-bit draws."""
    key = int.from_bytes(hashlib.sha256(f"{SEED}/{name}".encode()).digest()[:16], "little")
    count = int(np.prod(shape))
    raw = np.random.PCG64(key).random_raw(count)
    sums = np.frombuffer(raw.astype("<u8").tobytes(), dtype="<u2").reshape(count, 4).astype(np.int64).sum(1)
    return ((sums - 131070).astype(np.float64) * (STD / 37837.2)).astype(np.float32).reshape(shape)


def bfloat16(values):
    bits = values.astype("<f4").view("<u4")
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2").tobytes()  # to nearest even


def shapes():
    kv = KV_HEADS * HEAD_DIM
    yield "model.embed_tokens.weight", (VOCAB, HIDDEN)
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}."
        yield prefix + "input_layernorm.weight", (HIDDEN,)
        yield prefix + "post_attention_layernorm.weight", (HIDDEN,)
        yield prefix + "self_attn.q_proj.weight", (HIDDEN, HIDDEN)
        yield prefix + "self_attn.k_proj.weight", (kv, HIDDEN)
        yield prefix + "self_attn.v_proj.weight", (kv, HIDDEN)
        yield prefix + "self_attn.o_proj.weight", (HIDDEN, HIDDEN)
        yield prefix + "mlp.gate_proj.weight", (FFN, HIDDEN)
        yield prefix + "mlp.up_proj.weight", (FFN, HIDDEN)
        yield prefix + "mlp.down_proj.weight", (HIDDEN, FFN)
    yield "model.norm.weight", (HIDDEN,)
    yield "lm_head.weight", (VOCAB, HIDDEN)


def characters():
    signs = ["\ufffd", "<s>", "</s>", "\n", "\t"] + [chr(c) for c in range(0x20, 0x7F)]
    return signs + [chr(c) for c in range(0x4E00, 0x4E00 + VOCAB - len(signs))]


def write(directory):
    directory.mkdir(parents=True, exist_ok=True)

    def save(name, content):
        (directory / name).write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")

    save("config.json", dict(
        architectures=["LlamaForCausalLM"], model_type="llama", attention_bias=False, attention_dropout=0.0, bos_token_id=1,
        eos_token_id=2, head_dim=HEAD_DIM, hidden_act="silu", hidden_size=HIDDEN, initializer_range=STD, intermediate_size=FFN,
        max_position_embeddings=CONTEXT, mlp_bias=False, num_attention_heads=HEADS, num_hidden_layers=LAYERS,
        num_key_value_heads=KV_HEADS, rms_norm_eps=1e-6, rope_parameters=dict(rope_theta=10000.0, rope_type="default"),
        tie_word_embeddings=False, dtype="bfloat16", use_cache=True, vocab_size=VOCAB,
    ))  # fmt: skip
    save("generation_config.json", dict(bos_token_id=1, eos_token_id=2, do_sample=False))
    names = characters()
    special = [
        dict(id=i, content=names[i], single_word=False, lstrip=False, rstrip=False, normalized=False, special=True) for i in (1, 2)
    ]
    save("tokenizer.json", dict(
        version="1.0", truncation=None, padding=None, added_tokens=special, normalizer=None, pre_tokenizer=None,
        post_processor=None, decoder=dict(type="Fuse"),
        model=dict(
            type="BPE", dropout=None, unk_token="\ufffd", continuing_subword_prefix=None, end_of_word_suffix=None,
            fuse_unk=False, byte_fallback=False, ignore_merges=False, vocab={t: i for i, t in enumerate(names)}, merges=[],
        ),
    ))  # fmt: skip
    save("tokenizer_config.json", dict(
        tokenizer_class="PreTrainedTokenizerFast", bos_token="<s>", eos_token="</s>", pad_token="</s>", model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False, add_bos_token=False, add_eos_token=False,
    ))  # fmt: skip

    header, blobs, at = {"__metadata__": {"format": "pt"}}, [], 0
    for name, shape in shapes():
        data = bfloat16(np.ones(shape, np.float32) if len(shape) == 1 else normal(name, shape))
        header[name] = dict(dtype="BF16", shape=list(shape), data_offsets=[at, at + len(data)])
        at += len(data)
        blobs.append(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    (directory / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


if __name__ == "__main__":
    write(pathlib.Path(sys.argv[1]))
