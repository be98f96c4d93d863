package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// The double is a server made from what TensorRT-LLM's sources say of trtllm-serve:
// its command line, the file of settings with no key that it does not know, the
// lines of its log, its routes, and requests with no member that it does not know.
// It runs as a process of its own, started by the same arguments as the real one.
//
// DOUBLE in its environment names what is wrong with it.

// doubleFlags are the command line's, with whether a value follows that must be a
// number.
var doubleFlags = map[string]string{
	"--host": "text", "--port": "integer", "--backend": "text", "--tokenizer": "text", "--log_level": "text", "--max_beam_width": "integer",
	"--max_batch_size": "integer", "--max_num_tokens": "integer", "--max_seq_len": "integer", "--tp_size": "integer", "--pp_size": "integer",
	"--ep_size": "integer", "--gpus_per_node": "integer", "--kv_cache_free_gpu_memory_fraction": "float", "--num_postprocess_workers": "integer",
	"--trust_remote_code": "none", "--extra_llm_api_options": "text", "--reasoning_parser": "text", "--enable_chunked_prefill": "none",
}

// Keys of the LLM API that both back ends have, and that one has.
var (
	bothKnow = []string{
		"model", "tokenizer", "tokenizer_mode", "skip_tokenizer_init", "trust_remote_code", "tensor_parallel_size", "dtype", "revision", "tokenizer_revision",
		"pipeline_parallel_size", "context_parallel_size", "gpus_per_node", "moe_expert_parallel_size", "enable_attention_dp", "load_format", "enable_lora",
		"kv_cache_config", "enable_chunked_prefill", "guided_decoding_backend", "iter_stats_max_iterations", "request_stats_max_iterations", "scheduler_config",
		"speculative_config", "max_batch_size", "max_input_len", "max_seq_len", "max_beam_width", "max_num_tokens", "num_postprocess_workers", "backend",
		"return_perf_metrics", "build_config",
	}
	pytorchKnows = []string{
		"cuda_graph_config", "disable_overlap_scheduler", "moe_config", "attn_backend", "sampler_type", "enable_iter_perf_stats", "enable_iter_req_stats",
		"print_iter_log", "perf_metrics_max_requests", "torch_compile_config", "enable_autotuner", "stream_interval", "allreduce_strategy",
	}
	tensorrtKnows = []string{"quant_config", "calib_config", "enable_build_cache", "workspace", "fast_build"}
	cacheKnows    = []string{
		"enable_block_reuse", "max_tokens", "max_attention_window", "sink_token_length", "free_gpu_memory_fraction", "host_cache_size", "onboard_blocks",
		"dtype", "tokens_per_block", "enable_partial_reuse", "copy_on_partial_reuse", "event_buffer_max_size",
	}
)

// double is how it was started.
type double struct {
	flags   map[string]string
	options map[string]any
	model   string
	manners string
}

// serveDouble is trtllm-serve's life; it returns its exit status.
func serveDouble(args []string) int {
	d := &double{flags: map[string]string{"--host": "localhost", "--port": "8000", "--backend": pytorch}, manners: os.Getenv("DOUBLE")}
	if complaint := d.parse(args); complaint != "" {
		fmt.Fprintf(os.Stderr, "Usage: trtllm-serve serve [OPTIONS] MODEL\nTry 'trtllm-serve serve --help' for help.\n\nError: %s\n", complaint)
		return 2
	}
	if complaint := d.readOptions(); complaint != "" {
		fmt.Fprintf(os.Stderr, "Traceback (most recent call last):\n  File \"trtllm-serve\", line 8, in <module>\n    sys.exit(main())\n%s", complaint)
		return 1
	}
	listener, err := net.Listen("tcp4", net.JoinHostPort(d.flags["--host"], d.flags["--port"]))
	if err != nil {
		fmt.Fprintf(os.Stderr, "RuntimeError: Failed to bind socket to %s:%s: [Errno 98] Address already in use\n", d.flags["--host"], d.flags["--port"])
		return 1
	}
	// Ranks are processes that MPI spawns.
	rank := exec.Command(os.Args[0])
	rank.Env = append(os.Environ(), "DOUBLE_RANK=1")
	if err := rank.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if status := d.load(); status != 0 {
		_ = rank.Process.Kill()
		return status
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		fmt.Println("INFO:     Started server process [1]\nINFO:     Application startup complete.")
		fmt.Fprintln(os.Stderr, newDoubleServer(d).serve(listener))
	}()
	<-ended
	_ = rank.Process.Kill()
	_ = rank.Wait()
	return 0
}

// parse reads the command line as click does.
func (d *double) parse(args []string) string {
	for i := 0; i < len(args); i++ {
		if !strings.HasPrefix(args[i], "-") {
			if d.model != "" {
				return "Got unexpected extra argument (" + args[i] + ")"
			}
			d.model = args[i]
			continue
		}
		kind, known := doubleFlags[args[i]]
		switch {
		case !known:
			return "No such option: " + args[i]
		case kind == "none":
			d.flags[args[i]] = "true"
			continue
		case i+1 == len(args):
			return fmt.Sprintf("Option '%s' requires an argument.", args[i])
		}
		value := args[i+1]
		if _, err := strconv.Atoi(value); kind == "integer" && err != nil {
			return fmt.Sprintf("Invalid value for '%s': '%s' is not a valid integer.", args[i], value)
		}
		if args[i] == "--backend" && !slices.Contains([]string{pytorch, tensorrt, "trt", "_autodeploy"}, value) {
			return fmt.Sprintf("Invalid value for '--backend': '%s' is not one of 'pytorch', 'tensorrt', '_autodeploy'.", value)
		}
		d.flags[args[i]] = value
		i++
	}
	if d.model == "" {
		return "Missing argument 'MODEL'."
	}
	return ""
}

// readOptions reads the file as pydantic's models do that forbid what they do not
// know.
func (d *double) readOptions() string {
	if d.flags["--extra_llm_api_options"] == "" {
		return ""
	}
	text, err := os.ReadFile(d.flags["--extra_llm_api_options"])
	if err == nil {
		d.options, err = parseYAML(string(text))
	}
	if err != nil {
		return err.Error() + "\n"
	}
	class, known := "TorchLlmArgs", slices.Concat(bothKnow, pytorchKnows)
	if d.flags["--backend"] == tensorrt {
		class, known = "TrtLlmArgs", slices.Concat(bothKnow, tensorrtKnows)
	}
	invalid := func(class, path, complaint string, value any) string {
		return fmt.Sprintf("pydantic_core._pydantic_core.ValidationError: 1 validation error for %s\n%s\n  %s, input_value=%v, input_type=str]\n    For further information visit https://errors.pydantic.dev/2.11/v/extra_forbidden\n", class, path, complaint, value)
	}
	for key, value := range d.options {
		if !slices.Contains(known, key) {
			return invalid(class, key, "Extra inputs are not permitted [type=extra_forbidden", value)
		}
	}
	cache, _ := d.options["kv_cache_config"].(map[string]any)
	for key, value := range cache {
		if !slices.Contains(cacheKnows, key) {
			return invalid(class, "kv_cache_config."+key, "Extra inputs are not permitted [type=extra_forbidden", value)
		}
	}
	if kind := cache["dtype"]; kind != nil && !slices.Contains([]any{"auto", "fp8", "nvfp4"}, kind) {
		return invalid(class, "kv_cache_config.dtype", "Input should be 'auto', 'fp8' or 'nvfp4' [type=literal_error", kind)
	}
	return ""
}

// load writes what a start logs, up to where it fails.
func (d *double) load() int {
	say := func(lines ...string) {
		for _, line := range lines {
			fmt.Println("[11/28/2026-10:00:00] [TRT-LLM] [I] " + line)
		}
	}
	fmt.Fprintln(os.Stderr, strings.Join(append([]string{"argv:"}, os.Args[1:]...), " "))
	if d.flags["--backend"] == tensorrt && !isEngine(d.model) {
		fmt.Fprintln(os.Stderr, "RuntimeError: this double builds no engines on its own")
		return 1
	}
	say("Using LLM with PyTorch backend")
	fmt.Print("Loading safetensors weights in parallel:   0%|          | 0/2\rLoading safetensors weights in parallel:  50%|#####     | 1/2\n")
	switch d.manners {
	case "dies loading":
		fmt.Fprintln(os.Stderr, "Traceback (most recent call last):\n  File \"/x/worker.py\", line 7, in worker_main\n    raise e\nValueError: the checkpoint has no tensor model.norm.weight\n[TRT-LLM] [E] Executor worker died during initialization.")
		return 1
	case "out of memory":
		fmt.Fprintln(os.Stderr, "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 7.70 GiB of which 42.69 MiB is free.")
		fmt.Fprintln(os.Stderr, "[TRT-LLM] [E] Executor creation failed due to insufficient GPU memory.")
		fmt.Fprintln(os.Stderr, "RuntimeError: Executor worker returned error")
		return 1
	case "no GPU":
		fmt.Fprintln(os.Stderr, "ValueError: No GPU devices found on the node")
		return 1
	case "hangs":
		select {}
	}
	fmt.Println("Model init total -- 1.25s")
	say("[Autotuner] Autotuning process starts ...", "[Autotuner] Cache size after warmup is 28", "[Autotuner] Autotuning process ends")
	fmt.Println("[TensorRT-LLM][INFO] [MemUsageChange] Allocated 0.10 GiB for max tokens in paged KV cache (1024).")
	fmt.Println("[TensorRT-LLM][INFO] [MemUsageChange] Allocated 16.05 GiB for max tokens in paged KV cache (32768).")
	say("max_seq_len=2048, max_num_requests="+d.or("--max_batch_size", "2048")+", max_num_tokens="+d.or("--max_num_tokens", "8192")+", max_batch_size="+d.or("--max_batch_size", "2048"),
		"Creating CUDA graph instances for 11 batch sizes.", "Run generation only CUDA graph warmup for batch size=64, draft_len=0")
	return 0
}

func (d *double) or(flag, fallback string) string {
	if value := d.flags[flag]; value != "" {
		return value
	}
	return fallback
}

// name is what the server calls its model.
func (d *double) name() string {
	if info, err := os.Stat(d.model); err == nil && info.IsDir() {
		return filepath.Base(d.model)
	}
	return d.model
}

// parseYAML reads the part of YAML that the plugin writes: tables by indentation,
// and on a line values that are JSON.
func parseYAML(text string) (map[string]any, error) {
	if text == "{}\n" {
		return nil, nil
	}
	root := map[string]any{}
	open := []map[string]any{root}
	for line := range strings.Lines(text) {
		content := strings.TrimLeft(strings.TrimSuffix(line, "\n"), " ")
		depth := (len(line) - 1 - len(content)) / 2
		key, value, found := strings.Cut(content, ":")
		if !found || depth >= len(open) || depth > 0 && open[depth] == nil {
			return nil, errors.New("yaml.parser.ParserError: " + line)
		}
		key = strings.Trim(key, `"`)
		at := open[depth]
		open = open[:depth+1]
		if value == "" {
			below := map[string]any{}
			at[key] = below
			open = append(open, below)
			continue
		}
		var decoded any
		if err := json.Unmarshal([]byte(value), &decoded); err != nil {
			return nil, fmt.Errorf("yaml.parser.ParserError: %q: %w", line, err)
		}
		at[key] = decoded
	}
	return root, nil
}
