package engine

import (
	"os"
	"path/filepath"
	"runtime"
)

// DefaultThreads leaves one core to everything else on the machine, the
// measuring included: the kernels' threads wait for each other by spinning, so
// one that loses its core holds up all (a tenfold loss was seen with one
// competing process).
func DefaultThreads() int {
	return max(1, min(physicalCores(topologyDir), runtime.GOMAXPROCS(0))-1)
}

const topologyDir = "/sys/devices/system/cpu"

// physicalCores counts groups of hardware threads that share a core. Where
// the kernel does not tell, each hardware thread counts.
func physicalCores(dir string) int {
	paths, _ := filepath.Glob(filepath.Join(dir, "cpu[0-9]*", "topology", "thread_siblings_list"))
	cores := map[string]bool{}
	for _, path := range paths {
		siblings, err := os.ReadFile(path)
		if err != nil {
			return runtime.NumCPU()
		}
		cores[string(siblings)] = true
	}
	if len(cores) == 0 {
		return runtime.NumCPU()
	}
	return len(cores)
}
