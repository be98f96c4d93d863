package main

import (
	"github.com/llenergymeasure/llem/sdk"
	kit "github.com/llenergymeasure/llem/sdk/openaiserver"
)

// Names of the two back ends.
const (
	pytorch  = "pytorch"
	tensorrt = "tensorrt"
)

// parameters are those of TensorRT-LLM that change what is measured. Those of a
// flag were the same flag in each version read; all others are told in the file.
func parameters() []kit.Parameter {
	return []kit.Parameter{
		kit.Own(sdk.Text("executable").For(sdk.RoleMachine).
			Doc("The trtllm-serve command. Unset: that of the active virtual environment, else of PATH.")),
		kit.Own(sdk.Text("python").For(sdk.RoleMachine).
			Doc("Python interpreter with TensorRT-LLM, where the trtllm-serve command is missing.")),
		kit.Flag("--backend", sdk.Text("backend").Or(pytorch).OneOf(pytorch, tensorrt).
			Doc("What runs the model: PyTorch, or a TensorRT engine, which is built first and kept.")),
		kit.Flag("--tokenizer", sdk.Text("tokenizer").
			Doc("Tokenizer's directory or id, where the model's directory is an engine without one.")),
		kit.Flag("--max_batch_size", sdk.Int("max_batch_size").Unit("requests").AtLeast(1).
			Doc("Most requests in one step. Unset: 2048.")),
		kit.Flag("--max_num_tokens", sdk.Int("max_num_tokens").Unit("tokens").AtLeast(1).
			Doc("Most tokens in one step. Unset: 8192.")),
		kit.Flag("--max_seq_len", sdk.Int("max_seq_len").Unit("tokens").AtLeast(1).
			Doc("Longest prompt and output together. Unset: the model's.")),
		kit.Flag("--tp_size", sdk.Int("tensor_parallel_size").Unit("devices").Or(1).Between(1, 1024).
			Doc("Devices that share each layer.")),
		kit.Flag("--pp_size", sdk.Int("pipeline_parallel_size").Unit("stages").Or(1).Between(1, 1024).
			Doc("Groups of devices that have some of the layers each.")),
		kit.Flag("--ep_size", sdk.Int("expert_parallel_size").Unit("devices").Between(1, 1024).
			Doc("Devices that experts are spread over. Unset: the server decides.")),
		kit.InFile("kv_cache_config.free_gpu_memory_fraction", sdk.Float("free_gpu_memory_fraction").Between(0.01, 1.0).
			Doc("Share of the memory that is free after loading the weights for the KV cache. Unset: 0.9.")),
		kit.InFile("kv_cache_config.max_tokens", sdk.Int("kv_cache_tokens").Unit("tokens").AtLeast(1).
			Doc("Most tokens in the KV cache; holds it equal between cells.")),
		kit.InFile("kv_cache_config.dtype", sdk.Text("kv_cache_dtype").
			Doc("Number format of the KV cache, such as fp8. Unset: that of the checkpoint.")),
		kit.InFile("kv_cache_config.enable_block_reuse", sdk.Bool("block_reuse").Or(false).
			Doc("Keep what equal beginnings of prompts share. The server cannot drop it: a load keeps it to its end.")),
		kit.InFile("kv_cache_config.tokens_per_block", sdk.Int("tokens_per_block").Unit("tokens").AtLeast(1).
			Doc("Tokens of one block of the KV cache. Unset: the server's.")),
		kit.InFile("dtype", sdk.Text("dtype").OneOf("auto", "float16", "bfloat16", "float32").
			Doc("Number format of weights and arithmetic. Unset: the checkpoint's.")),
		kit.InFile("attn_backend", sdk.Text("attention_backend").
			Doc("Attention kernels of the PyTorch back end, such as FLASHINFER. Unset: TRTLLM.")),
		kit.InFile("moe_config.backend", sdk.Text("moe_backend").
			Doc("Kernels of mixtures of experts of the PyTorch back end, such as CUTLASS. Unset: the server's.")),
		kit.InFile("enable_chunked_prefill", sdk.Bool("chunked_prefill").
			Doc("Divide long prompts over steps. Unset: off.")),
		kit.InFile("speculative_config", sdk.Free("speculative_config").
			Doc("Speculative decoding: decoding_type and what belongs to it.")),
		kit.InFile("stream_interval", sdk.Int("stream_interval").Unit("steps").AtLeast(1).
			Doc("Steps between two events of a request. Unset: 1.")),
		kit.Own(sdk.Bool("cuda_graphs").
			Doc("Replay recorded decoding steps in the PyTorch back end. Unset: on.")),
		kit.Own(sdk.List("cuda_graph_batch_sizes", sdk.TypeInt).Unit("requests").
			Doc("Batch sizes to record. Unset: the server's.")),
		kit.Own(sdk.Bool("cuda_graph_padding").
			Doc("Fill a step up to the next recorded size. Unset: off.")),
		kit.Own(sdk.Bool("overlap_scheduler").
			Doc("Prepare the next step of the PyTorch back end while one runs. Unset: on.")),
		kit.Own(sdk.Bool("detokenize").Or(false).
			Doc("Let the server make text, as it does for people. Its answers then have no token ids: nothing shows that two engines gave the same ones.")),
		kit.Own(sdk.Bool("iteration_stats").Or(true).
			Doc("Count the engine's steps. It costs the server a little in each.")),
		kit.Own(sdk.Free("build_config").
			Doc("Further settings of a TensorRT engine's build.")),
		kit.Own(sdk.Free("extra").
			Doc("Further settings of the LLM API, by its own names, tables in tables.")),
		kit.Switch("--trust_remote_code", "", sdk.Bool("trust_remote_code").
			Doc("Run Python code that comes with the model. Read it first.")),
	}
}
