package environ

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Container says what this process is confined to.
type Container struct {
	// Kind is "docker", "podman", "kubernetes", another runtime's name, or
	// "none".
	Kind string `json:"kind,omitempty"`
	// Evidence is what gave it away.
	Evidence string `json:"evidence,omitempty"`
	// Image as the environment names it (LLEM_IMAGE, or a runtime's own).
	Image string `json:"image,omitempty"`
	// CPUQuota in processors, from the control group; absent if unlimited.
	CPUQuota *float64 `json:"cpu_quota,omitempty"`
	// MemoryLimitBytes of the control group; absent if unlimited.
	MemoryLimitBytes *int64 `json:"memory_limit_bytes,omitempty"`
	// CPUSet that this process may run on, such as "0-3".
	CPUSet string `json:"cpu_set,omitempty"`
}

// imageVariables may name the image of a container, the first set one counts.
var imageVariables = []string{"LLEM_IMAGE", "CONTAINER_IMAGE", "APPTAINER_CONTAINER", "SINGULARITY_CONTAINER"}

func (s *snapshot) container() {
	c := &s.env.Container
	groups, groupErr := s.read("proc/self/cgroup")
	c.Kind, c.Evidence = s.containerKind(groups)
	if c.Kind == "" && groupErr != nil {
		s.absent("container.kind", why("proc/self/cgroup", groupErr))
	} else if c.Kind == "" {
		c.Kind, c.Evidence = "none", "no marker file, no container in /proc/self/cgroup"
	}
	if s.real {
		for _, name := range imageVariables {
			if value := os.Getenv(name); value != "" {
				c.Image = value
				break
			}
		}
	}
	if c.Image == "" {
		s.absent("container.image", "none of "+strings.Join(imageVariables, ", ")+" is set")
	}
	s.limits(groups)
	if text, err := s.read("proc/self/status"); err != nil {
		s.absent("container.cpu_set", why("proc/self/status", err))
	} else if c.CPUSet = fields(text, ":")["Cpus_allowed_list"]; c.CPUSet == "" {
		s.absent("container.cpu_set", "/proc/self/status has no Cpus_allowed_list")
	}
}

func (s *snapshot) containerKind(groups string) (kind, evidence string) {
	for _, m := range []struct{ path, kind string }{
		{"var/run/secrets/kubernetes.io", "kubernetes"},
		{"run/.containerenv", "podman"},
		{".dockerenv", "docker"},
		{".singularity.d", "apptainer"},
	} {
		if s.exists(m.path) {
			return m.kind, "/" + m.path
		}
	}
	for _, m := range []struct{ word, kind string }{
		{"kubepods", "kubernetes"}, {"libpod", "podman"}, {"docker", "docker"}, {"containerd", "containerd"}, {"lxc", "lxc"},
	} {
		if strings.Contains(groups, m.word) {
			return m.kind, m.word + " in /proc/self/cgroup"
		}
	}
	if text, err := s.read("run/systemd/container"); err == nil && text != "" {
		return text, "/run/systemd/container"
	}
	return "", ""
}

// limits reads version 2 of the control groups, else version 1. The group of
// this process counts, and where a container hides it, the root that it sees.
func (s *snapshot) limits(groups string) {
	c := &s.env.Container
	own := map[string]string{}
	for line := range strings.Lines(groups) {
		if part := strings.SplitN(strings.TrimSpace(line), ":", 3); len(part) == 3 {
			for controller := range strings.SplitSeq(part[1], ",") {
				own[controller] = part[2]
			}
		}
	}
	first := func(base, group, file string) (string, string, bool) {
		for at := path.Clean("/" + group); ; at = path.Dir(at) {
			name := path.Join(base, at, file)
			if text, err := s.read(name); err == nil {
				return text, name, true
			}
			if at == "/" {
				return "", "", false
			}
		}
	}
	if text, name, ok := first("sys/fs/cgroup", own[""], "cpu.max"); ok {
		quota, period, _ := strings.Cut(text, " ")
		c.CPUQuota = s.quota(name, quota, period)
	} else if quota, name, ok := first("sys/fs/cgroup/cpu", own["cpu"], "cpu.cfs_quota_us"); ok {
		period, _ := s.read(path.Join(path.Dir(name), "cpu.cfs_period_us")) // quota says if it is unusable
		c.CPUQuota = s.quota(name, quota, period)
	} else {
		s.absent("container.cpu_quota", "no cpu.max and no cpu.cfs_quota_us under /sys/fs/cgroup: not limited, or not visible")
	}
	text, name, ok := first("sys/fs/cgroup", own[""], "memory.max")
	if !ok {
		text, name, ok = first("sys/fs/cgroup/memory", own["memory"], "memory.limit_in_bytes")
	}
	limit, err := strconv.ParseInt(text, 10, 64)
	switch {
	case !ok:
		s.absent("container.memory_limit_bytes", "no memory.max and no memory.limit_in_bytes under /sys/fs/cgroup: not limited, or not visible")
	case text == "max" || err == nil && limit >= 1<<60:
		s.absent("container.memory_limit_bytes", "not limited (/"+name+")")
	case err != nil || limit < 0:
		s.absent("container.memory_limit_bytes", fmt.Sprintf("/%s holds %.40q", name, text))
	default:
		c.MemoryLimitBytes = &limit
	}
}

func (s *snapshot) quota(name, quota, period string) *float64 {
	if quota == "max" || quota == "-1" {
		s.absent("container.cpu_quota", "not limited (/"+name+")")
		return nil
	}
	q, errQ := strconv.ParseFloat(quota, 64)
	p, errP := strconv.ParseFloat(strings.TrimSpace(period), 64)
	if errQ != nil || errP != nil || !(q > 0) || !(p > 0) || q > 1e15 {
		s.absent("container.cpu_quota", fmt.Sprintf("/%s holds %.40q with period %.40q", name, quota, period))
		return nil
	}
	v := q / p
	return &v
}

// Virtual says whether this is a virtual machine.
type Virtual struct {
	Machine *bool `json:"machine,omitempty"`
	// Product as the firmware names it, such as "KVM" or "Google Compute Engine".
	Product string `json:"product,omitempty"`
	// Hypervisor as the kernel names it.
	Hypervisor string `json:"hypervisor,omitempty"`
}

func (s *snapshot) virtual() {
	v := &s.env.Virtual
	text, err := s.read("proc/cpuinfo")
	flags := fields(text, ":")["flags"]
	switch {
	case err != nil:
		s.absent("virtual.machine", why("proc/cpuinfo", err))
	case flags == "":
		s.absent("virtual.machine", "/proc/cpuinfo has no flags; only x86 processors tell")
	default:
		machine := slices.Contains(strings.Fields(flags), "hypervisor")
		v.Machine = &machine
	}
	s.text("virtual.product", "sys/class/dmi/id/product_name", &v.Product)
	s.text("virtual.hypervisor", "sys/hypervisor/type", &v.Hypervisor)
}
