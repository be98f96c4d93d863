package main

import (
	"github.com/llenergymeasure/llem/sdk"
	kit "github.com/llenergymeasure/llem/sdk/openaiserver"
)

// parameters are those of vLLM that change what is measured; its other flags go
// into extra_args.
func parameters() []kit.Parameter {
	return []kit.Parameter{
		kit.Own(sdk.Text("executable").For(sdk.RoleMachine).
			Doc("The vllm command. Unset: that of the active virtual environment, else of PATH.")),
		kit.Own(sdk.Text("python").For(sdk.RoleMachine).
			Doc("Python interpreter with vLLM, where the vllm command is missing.")),
		kit.Own(sdk.Text("device").OneOf("cuda", "cpu").
			Doc("What this build of vLLM runs on. Unset: GPUs if the machine has any.")),
		kit.Flag("--dtype", sdk.Text("dtype").OneOf("auto", "float32", "float16", "bfloat16", "half", "float").
			Doc("Number format of weights and arithmetic. Unset: the checkpoint's.")),
		kit.Flag("--quantization", sdk.Text("quantization").
			Doc("Weight quantisation, such as fp8 or awq. Unset: what the checkpoint says.")),
		kit.Flag("--kv-cache-dtype", sdk.Text("kv_cache_dtype").
			Doc("Number format of the KV cache, such as fp8. Unset: that of the model.")),
		kit.Flag("--gpu-memory-utilization", sdk.Float("gpu_memory_utilization").Between(0.01, 1.0).
			Doc("Share of a GPU's memory that vLLM claims. Unset: its default, which changed between versions.")),
		kit.Flag("--kv-cache-memory-bytes", sdk.Int("kv_cache_memory_bytes").Unit("bytes").AtLeast(1).
			Doc("Size of the KV cache on each device; holds it equal between cells.")),
		kit.Flag("--max-model-len", sdk.Int("max_model_len").Unit("tokens").AtLeast(1).
			Doc("Longest prompt and output together. Unset: the model's.")),
		kit.Flag("--max-num-seqs", sdk.Int("max_num_seqs").Unit("sequences").AtLeast(1).
			Doc("Most sequences in one step. Unset: by the GPU's size.")),
		kit.Flag("--max-num-batched-tokens", sdk.Int("max_num_batched_tokens").Unit("tokens").AtLeast(1).
			Doc("Most tokens in one step. Unset: by the GPU's size.")),
		kit.Switch("--enable-chunked-prefill", "--no-enable-chunked-prefill", sdk.Bool("chunked_prefill").
			Doc("Divide long prompts over steps. Unset: vLLM decides.")),
		kit.Switch("--enable-prefix-caching", "--no-enable-prefix-caching", sdk.Bool("prefix_caching").Or(false).
			Doc("Keep what equal beginnings of prompts share; dropped before each prepared work.")),
		kit.Flag("--block-size", sdk.Int("block_size").Unit("tokens").AtLeast(1).
			Doc("Tokens of one block of the KV cache. Unset: by the attention backend.")),
		kit.Flag("--tensor-parallel-size", sdk.Int("tensor_parallel_size").Unit("devices").Or(1).Between(1, 1024).
			Doc("Devices that share each layer.")),
		kit.Flag("--pipeline-parallel-size", sdk.Int("pipeline_parallel_size").Unit("stages").Or(1).Between(1, 1024).
			Doc("Groups of devices that have some of the layers each.")),
		kit.Flag("--data-parallel-size", sdk.Int("data_parallel_size").Unit("copies").Or(1).Between(1, 1024).
			Doc("Copies of the model.")),
		kit.Switch("--enable-expert-parallel", "", sdk.Bool("expert_parallel").
			Doc("Spread experts instead of each expert's matrices.")),
		kit.Switch("--enforce-eager", "", sdk.Bool("enforce_eager").
			Doc("No compilation and no CUDA graphs: starts sooner, runs slower.")),
		kit.JSON("--compilation-config", sdk.Free("compilation_config").
			Doc("vLLM's compilation settings.")),
		kit.Flag("--attention-backend", sdk.Text("attention_backend").
			Doc("Attention kernels, such as FLASH_ATTN. Unset: vLLM chooses.")),
		kit.JSON("--speculative-config", sdk.Free("speculative_config").
			Doc("Speculative decoding: method, model, number of tokens.")),
		kit.Flag("--cpu-offload-gb", sdk.Float("cpu_offload_gb").Unit("GiB").AtLeast(0.0).
			Doc("Weights of each device that stay in the host's memory.")),
		kit.Flag("--load-format", sdk.Text("load_format").
			Doc(`How weights are read. For random ones set weights = "dummy" of the model.`)),
		kit.Switch("--async-scheduling", "--no-async-scheduling", sdk.Bool("async_scheduling").
			Doc("Schedule the next step while one runs. Unset: vLLM decides.")),
		kit.Flag("--stream-interval", sdk.Int("stream_interval").Unit("tokens").AtLeast(1).
			Doc("Tokens of one event. Unset: 1.")),
		kit.Flag("--seed", sdk.Int("seed").
			Doc("Seed of random weights and of sampling without a seed.")),
		kit.Switch("--trust-remote-code", "", sdk.Bool("trust_remote_code").
			Doc("Run Python code that comes with the model. Read it first.")),
	}
}
