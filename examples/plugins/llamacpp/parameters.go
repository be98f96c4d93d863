package main

import (
	"github.com/llenergymeasure/llem/sdk"
	kit "github.com/llenergymeasure/llem/sdk/openaiserver"
)

// parameters are those of llama-server that change a measurement.
var parameters = []kit.Parameter{
	kit.Own(sdk.List("command", sdk.TypeString).Or([]any{"llama-server"}).For(sdk.RoleMachine).
		Doc("The server's program, with arguments that come before all others.")),
	kit.Flag("-c", sdk.Int("ctx_size").Unit("tokens").AtLeast(1).
		Doc("Context of all slots together. Unset: the model's own, or what fits.")),
	kit.Flag("-np", sdk.Int("parallel").Unit("slots").Or(4).Between(1, 256).
		Doc("Sequences at once.")),
	kit.Flag("-t", sdk.Int("threads").Unit("threads").Between(1, 1024).
		Doc("Threads of a decode step. Unset: the server decides.")),
	kit.Flag("-b", sdk.Int("batch_size").Unit("tokens").Between(1, 1<<20).
		Doc("Most tokens of one step.")),
	kit.Flag("-ub", sdk.Int("ubatch_size").Unit("tokens").Between(1, 1<<20).
		Doc("Most tokens that are computed at once.")),
	kit.Flag("-ngl", sdk.Int("gpu_layers").Unit("layers").Between(0, 10000).
		Doc("Layers on the GPU.")),
	kit.Flag("-fa", sdk.Text("flash_attn").OneOf("on", "off", "auto").
		Doc("Flash attention.")),
	kit.Flag("-ctk", sdk.Text("cache_type_k").OneOf("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1").
		Doc("Number format of cached keys.")),
	kit.Flag("-ctv", sdk.Text("cache_type_v").OneOf("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1").
		Doc("Number format of cached values.")),
	kit.Flag("--fit", sdk.Text("fit").Or("off").OneOf("on", "off").
		Doc("Let the server change what was not set so that it fits into memory.")),
	kit.Flag("--log-verbosity", sdk.Int("log_verbosity").Or(3).Between(0, 5).For(sdk.RoleExecution).
		Doc("3 = as usual, with a few lines a request; 2 = warnings only, and no stages of a load.")),
}
