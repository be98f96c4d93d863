package environ

import (
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

// Host names the machine and its system.
type Host struct {
	Name   string `json:"name,omitempty"`
	Kernel string `json:"kernel,omitempty"`
	Distro string `json:"distro,omitempty"`
	BootID string `json:"boot_id,omitempty"`
	GOOS   string `json:"goos"`
	GOARCH string `json:"goarch"`
}

func (s *snapshot) host() {
	h := &s.env.Host
	h.GOOS, h.GOARCH = runtime.GOOS, runtime.GOARCH
	s.text("host.name", "proc/sys/kernel/hostname", &h.Name)
	s.text("host.kernel", "proc/sys/kernel/osrelease", &h.Kernel)
	s.text("host.boot_id", "proc/sys/kernel/random/boot_id", &h.BootID)
	text, err := s.read("etc/os-release")
	if err != nil {
		s.absent("host.distro", why("etc/os-release", err))
		return
	}
	os := fields(text, "=")
	h.Distro = strings.Trim(os["PRETTY_NAME"], `"'`)
	if h.Distro == "" {
		h.Distro = strings.TrimSpace(strings.Trim(os["NAME"], `"'`) + " " + strings.Trim(os["VERSION_ID"], `"'`))
	}
	if h.Distro == "" {
		s.absent("host.distro", "/etc/os-release names none")
	}
}

// Memory of the machine, in bytes.
type Memory struct {
	TotalBytes     *int64 `json:"total_bytes,omitempty"`
	AvailableBytes *int64 `json:"available_bytes,omitempty"`
	SwapTotalBytes *int64 `json:"swap_total_bytes,omitempty"`
}

func (s *snapshot) memory() {
	text, err := s.read("proc/meminfo")
	if err != nil {
		s.absent("memory", why("proc/meminfo", err))
		return
	}
	lines := fields(text, ":")
	m := &s.env.Memory
	for _, v := range []struct {
		key, line string
		to        **int64
	}{
		{"memory.total_bytes", "MemTotal", &m.TotalBytes},
		{"memory.available_bytes", "MemAvailable", &m.AvailableBytes},
		{"memory.swap_total_bytes", "SwapTotal", &m.SwapTotalBytes},
	} {
		kib, err := strconv.ParseInt(strings.TrimSuffix(lines[v.line], " kB"), 10, 64)
		if err != nil || kib < 0 || kib > 1<<53 {
			s.absent(v.key, "/proc/meminfo has no usable "+v.line)
			continue
		}
		bytes := kib << 10
		*v.to = &bytes
	}
}

func (s *snapshot) load() {
	text, err := s.read("proc/loadavg")
	if err != nil {
		s.absent("load_average", why("proc/loadavg", err))
		return
	}
	words := strings.Fields(text)
	var load []float64
	for i := 0; i < 3 && i < len(words); i++ {
		v, err := strconv.ParseFloat(words[i], 64)
		if err != nil || !(v >= 0 && v < 1e9) {
			break
		}
		load = append(load, v)
	}
	if len(load) != 3 {
		s.absent("load_average", "/proc/loadavg does not begin with three numbers")
		return
	}
	s.env.LoadAverage = load
}

// Build says how this llem was built.
type Build struct {
	GoVersion string `json:"go_version"`
	Module    string `json:"module,omitempty"`
	Version   string `json:"version,omitempty"`
	Revision  string `json:"revision,omitempty"`
	Modified  *bool  `json:"modified,omitempty"`
	CGO       string `json:"cgo,omitempty"` // CGO_ENABLED
}

func (s *snapshot) build() {
	b := &s.env.Build
	b.GoVersion = runtime.Version()
	info, ok := debug.ReadBuildInfo()
	if !ok {
		s.absent("build", "the binary carries no build information")
		return
	}
	b.Module, b.Version = info.Main.Path, info.Main.Version
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			b.Revision = setting.Value
		case "vcs.modified":
			modified := setting.Value == "true"
			b.Modified = &modified
		case "CGO_ENABLED":
			b.CGO = setting.Value
		}
	}
	if b.Revision == "" {
		s.absent("build.revision", "the binary was built without version control information")
	}
}
