package main

import (
	"os"
	"strconv"
	"strings"
)

const memInfoPath = "/proc/meminfo"

// availableBytes is how much the kernel could give to a new process.
func availableBytes(path string) (bytes int64, known bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] == "MemAvailable:" && fields[2] == "kB" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10, err == nil
		}
	}
	return 0, false
}
