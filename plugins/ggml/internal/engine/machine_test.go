package engine

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/plugins/ggml/internal/dummy"
)

func TestPhysicalCores(t *testing.T) {
	// Two cores of two threads each, and one without a sibling.
	dir := t.TempDir()
	for cpu, siblings := range []string{"0,2", "1,3", "0,2", "1,3", "4"} {
		topology := filepath.Join(dir, fmt.Sprint("cpu", cpu), "topology")
		if err := os.MkdirAll(topology, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(topology, "thread_siblings_list"), []byte(siblings+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n := physicalCores(dir); n != 3 {
		t.Errorf("%d cores, want 3", n)
	}
	if n := physicalCores(t.TempDir()); n != runtime.NumCPU() {
		t.Errorf("%d cores where the kernel does not tell, want %d", n, runtime.NumCPU())
	}
	if n := DefaultThreads(); n < 1 || n > 1 && n >= runtime.NumCPU() {
		t.Errorf("%d threads by default on %d CPUs", n, runtime.NumCPU())
	}
}

// The engine says once in a process which instructions its kernels use, so
// this test starts the only log handler before anything else is opened.
var simd = func() *SIMDLog {
	l := NewSIMDLog(slog.NewTextHandler(&warnings, nil))
	slog.SetDefault(slog.New(l))
	return l
}()

var warnings strings.Builder

func TestInstructionSetsAreLearned(t *testing.T) {
	load(t, tinyFile(t, dummy.F32), exactly(1, 8))
	if features := simd.Features(); slices.Contains(features, "AVX2") != builtForAVX2() {
		t.Errorf("features %v; built for AVX2: %v", features, builtForAVX2())
	}
	if err := CheckCPU(); err != nil {
		t.Error(err)
	}
	slog.Info("not passed on")
	slog.Warn("passed on")
	if text := warnings.String(); !strings.Contains(text, "passed on") || strings.Contains(text, "not passed on") {
		t.Errorf("the log is %q", text)
	}
}
