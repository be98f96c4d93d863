//go:build linux && cgo

package nvml

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// asProcess names what this test binary does as a process of its own, in which a
// library of the test is the machine's: a call of a symbol that it lacks ends it.
const asProcess = "LLEM_TEST_NVML_PROCESS"

func TestMain(m *testing.M) {
	if os.Getenv(asProcess) == "" {
		os.Exit(m.Run())
	}
	if err := useLibrary(); err != nil {
		fmt.Println("error:", err)
	}
}

// useLibrary makes every call that a study makes.
func useLibrary() error {
	s := New()
	if err := s.Characterise(context.Background(), ""); err != nil {
		return err
	}
	domains, err := s.Open(context.Background(), sdk.OpenRequest{})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s.Facts()
	s.Mark()
	for _, shot := range s.Snapshot(nil) {
		fmt.Println("processes known:", shot.Processes != nil)
	}
	err = s.Stream(ctx, func(b sdk.SampleBatch) error {
		if len(b.Values) > 0 {
			fmt.Println(domains[0].ID, domains[0].Reading, b.Values[0], "of", len(domains))
			cancel()
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.Close(context.Background())
}

// A real library that lacks what came after it, loaded by a real process: what is
// missing is told and never called.
func TestLibraries(t *testing.T) {
	for name, c := range map[string]struct {
		flag, want string // no flag: the library is damaged
	}{
		"without any power": {"-DNOPOWER", "error: open nvml: GPU-1 (Tesla K80): power ring: nvmlDeviceGetSamples: this driver or GPU does not offer it; energy counter: "},
		"with plain power":  {"-DPOWER", "processes known: false\nGPU-1/instant instant 123456 of 1\n"},
		"damaged":           {"", "error: open nvml: libnvidia-ml.so.1 is not on this machine; install the NVIDIA driver"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			library := filepath.Join(dir, "libnvidia-ml.so.1")
			if c.flag == "" {
				if err := os.WriteFile(library, []byte("\x7fELF and no more"), 0o755); err != nil {
					t.Fatal(err)
				}
			} else {
				compiler := cmp.Or(os.Getenv("CC"), "gcc") // as cgo takes it
				if out, err := exec.CommandContext(t.Context(), compiler, c.flag, "-shared", "-fPIC", "-o", library, "testdata/oldnvml.c").CombinedOutput(); err != nil {
					t.Fatalf("%s: %v\n%s", compiler, err, out)
				}
			}
			process := exec.CommandContext(t.Context(), os.Args[0])
			process.Env = append(os.Environ(), asProcess+"=1", "LD_LIBRARY_PATH="+dir, "CUDA_VISIBLE_DEVICES=0")
			out, err := process.CombinedOutput()
			if err != nil || !strings.HasPrefix(string(out), c.want) || strings.Count(string(out), "\n") > 2 {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
