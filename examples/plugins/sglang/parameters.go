package main

import (
	"regexp"

	"github.com/llenergymeasure/llem/sdk"
	kit "github.com/llenergymeasure/llem/sdk/openaiserver"
)

// parameters are those of SGLang that change a measurement, under its own names; its
// other flags go into extra_args.
var parameters = []kit.Parameter{
	kit.Own(sdk.List("command", sdk.TypeString).Or([]any{"python3", "-m", "sglang.launch_server"}).For(sdk.RoleMachine).
		Doc("What starts the server, with arguments that come before all others.")),
	kit.Flag("--device", sdk.Text("device").OneOf("cuda", "cpu", "xpu", "hpu", "npu").
		Doc("What it runs on. Unset: what it finds.")),
	kit.Flag("--dtype", sdk.Text("dtype").OneOf("auto", "half", "float16", "bfloat16", "float", "float32").
		Doc("Number format of weights and arithmetic. Unset: the checkpoint's.")),
	kit.Flag("--quantization", sdk.Text("quantization").
		Doc("Weight quantisation, such as fp8. Unset: what the checkpoint says.")),
	kit.Flag("--kv-cache-dtype", sdk.Text("kv_cache_dtype").
		Doc("Number format of the KV cache, such as fp8_e4m3. Unset: that of the model.")),
	kit.Flag("--tp-size", sdk.Int("tp_size").Unit("devices").Or(1).Between(1, 1024).
		Doc("Devices that share each layer.")),
	kit.Flag("--pp-size", sdk.Int("pp_size").Unit("stages").Or(1).Between(1, 1024).
		Doc("Groups of devices that have some of the layers each.")),
	kit.Flag("--dp-size", sdk.Int("dp_size").Unit("copies").Or(1).Between(1, 1024).
		Doc("Copies of the model.")),
	kit.Flag("--mem-fraction-static", sdk.Float("mem_fraction_static").Between(0.01, 1.0).
		Doc("Share of a device's memory for weights and KV cache. Unset: by the device and the model.")),
	kit.Flag("--max-total-tokens", sdk.Int("max_total_tokens").Unit("tokens").AtLeast(1).
		Doc("Size of the KV cache; holds it equal between cells.")),
	kit.Flag("--context-length", sdk.Int("context_length").Unit("tokens").AtLeast(1).
		Doc("Longest prompt and output together. Unset: the model's.")),
	kit.Flag("--max-running-requests", sdk.Int("max_running_requests").Unit("sequences").AtLeast(1).
		Doc("Most sequences in one step.")),
	kit.Flag("--chunked-prefill-size", sdk.Int("chunked_prefill_size").Unit("tokens").AtLeast(-1).
		Doc("Most prompt tokens of one step; -1 = prompts are not divided. Unset: by the device.")),
	kit.Flag("--max-prefill-tokens", sdk.Int("max_prefill_tokens").Unit("tokens").AtLeast(1).
		Doc("Most prompt tokens of all requests of one step.")),
	kit.Flag("--page-size", sdk.Int("page_size").Unit("tokens").AtLeast(1).
		Doc("Tokens of one page of the KV cache. Unset: by the attention backend.")),
	kit.Flag("--schedule-policy", sdk.Text("schedule_policy").
		Doc("Order of waiting requests, such as fcfs.")),
	kit.Flag("--attention-backend", sdk.Text("attention_backend").
		Doc("Attention kernels, such as flashinfer, fa3 or triton. Unset: SGLang chooses.")),
	kit.Switch("--disable-radix-cache", "", sdk.Bool("disable_radix_cache").Or(true).
		Doc("Do not keep what equal beginnings of prompts share. If false, dropped before each prepared work.")),
	kit.Switch("--disable-overlap-schedule", "", sdk.Bool("disable_overlap_schedule").
		Doc("Do not schedule the next step while one runs.")),
	kit.Switch("--disable-cuda-graph", "", sdk.Bool("disable_cuda_graph").
		Doc("No CUDA graphs: starts sooner, runs slower.")),
	kit.Flag("--cuda-graph-max-bs-decode", sdk.Int("cuda_graph_max_bs_decode").Unit("sequences").AtLeast(1).
		Doc("Most sequences for which a graph of a decode step is captured.")),
	kit.Switch("--enable-torch-compile", "", sdk.Bool("enable_torch_compile").
		Doc("Compile the model with torch.compile.")),
	kit.Flag("--torch-compile-max-bs", sdk.Int("torch_compile_max_bs").Unit("sequences").AtLeast(1).
		Doc("Most sequences for which it is compiled.")),
	kit.Flag("--speculative-algorithm", sdk.Text("speculative_algorithm").
		Doc("Speculative decoding, such as EAGLE or NGRAM. Unset: none.")),
	kit.Flag("--speculative-draft-model-path", sdk.Text("speculative_draft_model_path").
		Doc("Its draft model.")),
	kit.Flag("--speculative-num-steps", sdk.Int("speculative_num_steps").AtLeast(1).
		Doc("Steps of the draft model for each of the model.")),
	kit.Flag("--speculative-eagle-topk", sdk.Int("speculative_eagle_topk").AtLeast(1).
		Doc("Branches of each step of the draft model.")),
	kit.Flag("--speculative-num-draft-tokens", sdk.Int("speculative_num_draft_tokens").Unit("tokens").AtLeast(1).
		Doc("Draft tokens that one step of the model looks at.")),
	kit.Flag("--stream-interval", sdk.Int("stream_interval").Unit("tokens").Or(1).AtLeast(1).
		Doc("Tokens of one event.")),
	kit.Flag("--random-seed", sdk.Int("random_seed").
		Doc("Seed of random weights and of sampling. Unset: another for each start.")),
	kit.Switch("--sleep-on-idle", "", sdk.Bool("sleep_on_idle").
		Doc("Wait for requests without spinning. Unset: its scheduler takes a core when idle, which is in the context idle and no part of a window.")),
	kit.Flag("--log-level", sdk.Text("log_level").For(sdk.RoleExecution).
		Doc("warning = no line for each prefill, and no stages of a load. Unset: info.")),
	kit.Switch("--trust-remote-code", "", sdk.Bool("trust_remote_code").
		Doc("Run Python code that comes with the model. Read it first.")),
}

// What its log says.
var stages = []kit.Stage{
	{Kind: sdk.StageWeights, Begin: regexp.MustCompile(`Load weight begin`), End: regexp.MustCompile(`Load weight end`), Progress: regexp.MustCompile(`loading shards:\s+(\d+)% Completed`)},
	{Kind: sdk.StageCapture, Begin: regexp.MustCompile(`Capture .*[Gg]raph begin`), End: regexp.MustCompile(`Capture .*[Gg]raph end`)},
}

var faults = []kit.Fault{
	{Line: regexp.MustCompile(`Not enough memory\. Please try to increase --mem-fraction-static`), Code: sdk.OutOfMemory, Key: "mem_fraction_static", Advice: "raise it, free the device, or load a smaller model"},
	{Line: regexp.MustCompile(`Repo id must|is not a (local folder|valid model identifier)|does not appear to have a file named|Unrecognized model in`), Code: sdk.ModelMissing, Key: "model.id", Advice: "check model.id, or set model.path"},
}

var metrics = kit.Metrics{
	Path: "/metrics", EngineSteps: "sglang:cuda_graph_passes_total", PromptTokens: "sglang:prompt_tokens_total", OutputTokens: "sglang:generation_tokens_total",
	CachedPromptTokens: "sglang:cached_tokens_total", Preemptions: "sglang:num_retracted_requests_total", Busy: []string{"sglang:num_running_reqs", "sglang:num_queue_reqs"},
	Named: []kit.Named{
		{Name: "sglang:num_requests_total", Unit: "requests"}, {Name: "sglang:queue_time_seconds_sum", Unit: "s", Direction: "lower"},
		{Name: "sglang:time_to_first_token_seconds_sum", Unit: "s", Direction: "lower"}, {Name: "sglang:inter_token_latency_seconds_sum", Unit: "s", Direction: "lower"},
		{Name: "sglang:request_time_per_output_token_seconds_sum", Unit: "s", Direction: "lower"},
	},
}
