package main

import (
	"github.com/llenergymeasure/llem/sdk"
)

const version = "0.1.0"

// Defaults that do not depend on the model or the machine.
const (
	defaultBatchSize   = 1
	defaultBatching    = "in_order"
	defaultPaddingSide = "left"
	oneDevice          = "single" // of device_map
	unquantised        = "none"   // of quantization
)

// maxCancelMs bounds one step of generate, which nothing interrupts: after an
// abort the worker is quiet within it, or is killed.
const maxCancelMs = 10_000

// Describe implements sdk.Backend.
func (*backend) Describe() sdk.Description {
	return sdk.Description{
		Name: "pytorch", Version: version,
		Doc:        "Hugging Face transformers on PyTorch: static batches through model.generate, or its continuous batching, in your own Python environment.",
		Parameters: parameters(),
		Abilities:  sdk.Abilities{Loops: []sdk.Loop{sdk.LoopBatch, sdk.LoopClosed, sdk.LoopOpen}, Edge: sdk.EdgeDeviceSync, MaxCancelMs: maxCancelMs},
	}
}

func parameters() []sdk.Parameter {
	return []sdk.Parameter{
		sdk.Path("python").
			Doc("Python interpreter with torch and transformers. Unset: that of the active virtual environment, else python3."),
		sdk.Text("device").OneOf("cpu", "cuda").
			Doc("Where the model is. Unset: the first GPU if torch finds one, else the CPU."),
		sdk.Text("dtype").OneOf("float32", "float16", "bfloat16").
			Doc("Number format of weights and arithmetic. Unset: the checkpoint's own; bfloat16 for random weights."),
		sdk.Int("batch_size").Unit("sequences").Or(defaultBatchSize).Between(1, 65536).
			Doc("Sequences of one static batch. With continuous batching the most in one step; unset, transformers decides there."),
		sdk.Text("batching").Or(defaultBatching).OneOf("in_order", "length_sorted", "continuous").
			Doc("How a pass is divided into batches. Sorting by length computes fewer padding tokens. continuous lets requests join and leave at every step, and allows closed and open loops."),
		sdk.Int("max_batch_tokens").Unit("tokens").Between(1, 1<<20).
			Doc("Most tokens of one step of continuous batching. Unset: transformers decides; 512 on the CPU."),
		sdk.Int("kv_cache_tokens").Unit("tokens").Between(1, 1<<40).
			Doc("Size of the paged cache of continuous batching. Unset: what is left of the GPU's memory; on the CPU what the load needs."),
		sdk.Bool("prefix_caching").Or(false).
			Doc("Let requests of continuous batching share the cache of equal beginnings."),
		sdk.Text("padding_side").Or(defaultPaddingSide).OneOf("left", "right").
			Doc("Where shorter prompts are filled up. Decoder-only models need left to answer well."),
		sdk.Text("attn_implementation").OneOf("eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention").
			Doc("Attention kernels. Unset: transformers chooses, usually sdpa."),
		sdk.Text("quantization").OneOf(unquantised, "bnb_int8", "bnb_nf4", "torchao_int8", "torchao_int4").
			Doc("Weights in fewer bits, through bitsandbytes or torchao (weight-only). Unset: as the checkpoint has them."),
		sdk.Text("cache_implementation").OneOf("dynamic", "static", "quantized", "offloaded", "offloaded_static").
			Doc("Kind of KV cache. Unset: transformers chooses, usually dynamic."),
		sdk.Bool("use_cache").Or(true).
			Doc("Keep keys and values of earlier tokens. Without, every step computes the whole sequence anew."),
		sdk.Bool("compile").
			Doc("torch.compile of the decode step (static cache) or of the whole forward pass (other caches). Unset: transformers compiles a static cache on a GPU."),
		sdk.Text("compile_mode").OneOf("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs").
			Doc("Mode of torch.compile. reduce-overhead uses CUDA graphs."),
		sdk.Bool("compile_fullgraph").Doc("Refuse to compile in parts."),
		sdk.Bool("compile_dynamic").Doc("Compile for changing shapes. Unset: torch decides when it sees them change."),
		sdk.Bool("inference_mode").Or(false).
			Doc("Call generate in torch.inference_mode: less of Python's and torch's book-keeping a step."),
		sdk.Int("num_beams").Unit("beams").Or(1).Between(1, 64).
			Doc("Beams of a beam search; 1 = none."),
		sdk.Int("prompt_lookup_num_tokens").Unit("tokens").Between(1, 128).
			Doc("Speculate with this many tokens found in the prompt. Only in batches of 1."),
		sdk.Text("assistant_model").
			Doc("Hub id or directory of a smaller model that speculates. Only in batches of 1."),
		sdk.Text("device_map").Or(oneDevice).OneOf(oneDevice, "auto", "balanced", "balanced_low_0", "sequential").
			Doc("Spread the layers over all visible GPUs, through accelerate. sequential fills the first GPU first, balanced_low_0 leaves it free: with these a model that fits on one GPU is on one."),
		sdk.Text("tp_plan").OneOf("auto").
			Doc("Split every layer over several GPUs by transformers' own plan, with a worker process for each (tensor parallelism); needs accelerate. Unset: one process."),
		sdk.Int("tp_size").Unit("ranks").Between(1, mostGPUs).
			Doc("Workers, and GPUs, that tp_plan splits the layers over. 1 = one process, unsplit."),
		sdk.Int("num_threads").Unit("threads").Between(1, 1024).
			Doc("Threads inside an operation on the CPU. Unset: torch's own choice."),
		sdk.Int("interop_threads").Unit("threads").Between(1, 1024).
			Doc("Threads between operations on the CPU. Unset: torch's own choice."),
		sdk.Bool("allow_tf32").Doc("TensorFloat-32 in products of float32 matrices. Unset: torch's default."),
		sdk.Bool("cudnn_benchmark").Doc("Let cuDNN try its algorithms. Unset: torch's default."),
		sdk.Text("matmul_precision").OneOf("highest", "high", "medium").
			Doc("Precision of float32 matrix products. Unset: torch's default."),
		sdk.Bool("trust_remote_code").Or(false).
			Doc("Run Python code that comes with the model. Read it first."),
		sdk.Free("extra").
			Doc("Further arguments of generate and from_pretrained, by their own names; misspelt ones are refused."),
	}
}
