package environ

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// CPU describes the processors as a whole.
type CPU struct {
	Model   string `json:"model,omitempty"`
	Vendor  string `json:"vendor,omitempty"`
	Sockets *int   `json:"sockets,omitempty"`
	Cores   *int   `json:"cores,omitempty"`
	Threads *int   `json:"threads,omitempty"`
	// Flags that change which kernels an engine runs.
	Flags     []string `json:"flags,omitempty"`
	Microcode string   `json:"microcode,omitempty"`
	// Governors in use, one entry if all processors agree.
	Governors []string `json:"governors,omitempty"`
	Driver    string   `json:"frequency_driver,omitempty"`
	// MinKHz and MaxKHz are the limits now set; HardwareMaxKHz is the chip's.
	MinKHz         *int64 `json:"min_khz,omitempty"`
	MaxKHz         *int64 `json:"max_khz,omitempty"`
	HardwareMaxKHz *int64 `json:"hardware_max_khz,omitempty"`
	Turbo          *bool  `json:"turbo,omitempty"`
	SMT            string `json:"smt,omitempty"`
}

// The instruction sets that kernels choose by, as beginnings of their names on
// x86 and on ARM.
var (
	x86Flags = []string{"sse4_2", "avx", "f16c", "fma", "amx"}
	armFlags = []string{"asimd", "sve", "sme", "i8mm", "bf16", "fphp"}
)

func (s *snapshot) cpu() {
	text, err := s.read("proc/cpuinfo")
	if err != nil {
		s.absent("cpu", why("proc/cpuinfo", err))
		return
	}
	c := &s.env.CPU
	threads := 0
	sockets, cores := map[string]bool{}, map[string]bool{}
	for block := range strings.SplitSeq(text, "\n\n") {
		f := fields(block, ":")
		if _, ok := f["processor"]; !ok {
			continue
		}
		threads++
		if f["physical id"] != "" {
			sockets[f["physical id"]] = true
			cores[f["physical id"]+"/"+f["core id"]] = true
		}
		if threads == 1 {
			c.Model, c.Vendor, c.Microcode = f["model name"], f["vendor_id"], f["microcode"]
			c.Flags = append(relevant(f["flags"], x86Flags), relevant(f["Features"], armFlags)...)
		}
	}
	if threads == 0 {
		s.absent("cpu.threads", "/proc/cpuinfo lists no processor")
	} else {
		c.Threads = &threads
	}
	if len(c.Flags) == 0 {
		s.absent("cpu.flags", "/proc/cpuinfo lists none of the instruction sets looked for")
	}
	for key, value := range map[string]string{"model": c.Model, "vendor": c.Vendor, "microcode": c.Microcode} {
		if value == "" {
			s.absent("cpu."+key, "/proc/cpuinfo names none")
		}
	}
	if len(sockets) == 0 {
		s.absent("cpu.sockets", "/proc/cpuinfo does not tell sockets")
		s.absent("cpu.cores", "/proc/cpuinfo does not tell cores")
		return
	}
	c.Sockets, c.Cores = count(sockets), count(cores)
}

func count(set map[string]bool) *int {
	n := len(set)
	return &n
}

func relevant(flags string, beginnings []string) []string {
	var out []string
	for flag := range strings.FieldsSeq(flags) {
		if slices.ContainsFunc(beginnings, func(p string) bool { return strings.HasPrefix(flag, p) }) {
			out = append(out, flag)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// frequency reads how the clock is governed.
func (s *snapshot) frequency() {
	c := &s.env.CPU
	const first = "sys/devices/system/cpu/cpu0/cpufreq"
	for _, file := range s.glob("sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor") {
		if governor, err := s.read(file); err == nil && governor != "" && !slices.Contains(c.Governors, governor) {
			c.Governors = append(c.Governors, governor)
		}
	}
	if len(c.Governors) == 0 {
		s.absent("cpu.governors", "/"+first+"/scaling_governor does not exist; virtual machines and containers often hide it")
	}
	s.text("cpu.frequency_driver", first+"/scaling_driver", &c.Driver)
	c.MinKHz = s.number("cpu.min_khz", first+"/scaling_min_freq")
	c.MaxKHz = s.number("cpu.max_khz", first+"/scaling_max_freq")
	c.HardwareMaxKHz = s.number("cpu.hardware_max_khz", first+"/cpuinfo_max_freq")
	s.text("cpu.smt", "sys/devices/system/cpu/smt/control", &c.SMT)
	s.turbo()
}

// turbo asks the Intel driver, then the general one.
func (s *snapshot) turbo() {
	for _, source := range []struct {
		path string
		on   string
	}{
		{"sys/devices/system/cpu/intel_pstate/no_turbo", "0"},
		{"sys/devices/system/cpu/cpufreq/boost", "1"},
	} {
		if text, err := s.read(source.path); err == nil {
			on := text == source.on
			s.env.CPU.Turbo = &on
			return
		}
	}
	s.absent("cpu.turbo", "neither intel_pstate/no_turbo nor cpufreq/boost exists under /sys/devices/system/cpu")
}

// Node is a NUMA node.
type Node struct {
	ID          int    `json:"id"`
	CPUs        string `json:"cpus,omitempty"` // such as "0-15,32-47"
	MemoryBytes *int64 `json:"memory_bytes,omitempty"`
}

func (s *snapshot) numa() {
	for _, dir := range s.glob("sys/devices/system/node/node[0-9]*") {
		id, err := strconv.Atoi(strings.TrimPrefix(path.Base(dir), "node"))
		if err != nil {
			continue // such as "node0-backup": no node
		}
		n := Node{ID: id}
		key := fmt.Sprintf("numa.%d", id)
		s.text(key+".cpus", dir+"/cpulist", &n.CPUs)
		if text, err := s.read(dir + "/meminfo"); err != nil {
			s.absent(key+".memory_bytes", why(dir+"/meminfo", err))
		} else {
			kib, err := strconv.ParseInt(strings.TrimSuffix(fields(text, ":")[fmt.Sprintf("Node %d MemTotal", id)], " kB"), 10, 64)
			if err != nil || kib < 0 || kib > 1<<53 {
				s.absent(key+".memory_bytes", "/"+dir+"/meminfo has no usable MemTotal")
			} else {
				bytes := kib << 10
				n.MemoryBytes = &bytes
			}
		}
		s.env.NUMA = append(s.env.NUMA, n)
	}
	slices.SortFunc(s.env.NUMA, func(a, b Node) int { return a.ID - b.ID })
	if len(s.env.NUMA) == 0 {
		s.absent("numa", "/sys/devices/system/node has no nodes")
	}
}
