package engine

// static int built_for_avx2(void) {
// #ifdef __AVX2__
//   return 1;
// #else
//   return 0;
// #endif
// }
import "C"

import (
	"errors"
	"runtime"

	"golang.org/x/sys/cpu"
)

// builtForAVX2 tells whether the C compiler was allowed to use AVX2 and FMA.
// The flags that say so are common to all C code of the binary.
func builtForAVX2() bool { return C.built_for_avx2() == 1 }

// CheckCPU returns an error where this binary would end in an illegal
// instruction. It is to be called first of all.
func CheckCPU() error {
	if builtForAVX2() && !(cpu.X86.HasAVX2 && cpu.X86.HasFMA) {
		return errors.New("this plugin was built for CPUs with AVX2 and FMA, which this one lacks; " +
			"build it here without -march in CGO_CFLAGS and CGO_CXXFLAGS")
	}
	return nil
}

// SlowBuild tells whether the CPU has vector instructions that the binary does
// not use: it is then up to 23 times slower than it could be.
func SlowBuild() bool {
	return runtime.GOARCH == "amd64" && !builtForAVX2() && cpu.X86.HasAVX2 && cpu.X86.HasFMA
}
