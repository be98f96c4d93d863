package openaiserver

import (
	"testing"

	"github.com/llenergymeasure/llem/sdk"
)

// A server that could do without a module did not end for want of it.
func TestWhatWasIgnoredIsNoCause(t *testing.T) {
	ignored := "[2026-11-28 12:37:24] Ignore import error when loading sglang.srt.models.inkling: No module named 'cutlass'"
	last := "[2026-11-28 12:38:00] Decode batch, #running-req: 4"
	if line, fault := findFault(&Engine{}, []string{ignored, last}); line != last || fault.Code != sdk.EngineCrashed {
		t.Errorf("%q, %+v", line, fault)
	}
	warned := `WARNING 11-28 19:00:12 [cuda.py:45] Failed to import from vllm._qutlass_C: ModuleNotFoundError("No module named 'vllm._qutlass_C'")`
	if line, fault := findFault(&Engine{}, []string{warned, last}); line != last || fault.Code != sdk.EngineCrashed {
		t.Errorf("%q, %+v", line, fault)
	}
	missing := "ModuleNotFoundError: No module named 'sglang'"
	if line, fault := findFault(&Engine{}, []string{ignored, missing}); line != missing || fault.Code != sdk.EngineMissing {
		t.Errorf("%q, %+v", line, fault)
	}
}
