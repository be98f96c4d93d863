package environ

import (
	"path"
	"strconv"
	"strings"
)

// GPU as the kernel shows it. Power limits, clocks, ECC and MIG are known to
// the energy source that reads it.
type GPU struct {
	UUID   string `json:"uuid,omitempty"`
	Model  string `json:"model,omitempty"`
	Bus    string `json:"bus,omitempty"` // PCI address
	VBIOS  string `json:"vbios,omitempty"`
	Vendor string `json:"vendor,omitempty"` // PCI vendor id, such as 0x10de
	Device string `json:"device,omitempty"` // PCI device id
	Minor  *int64 `json:"minor,omitempty"`  // /dev/nvidia<minor>
	NUMA   *int64 `json:"numa_node,omitempty"`
	// LinkSpeed and LinkWidth of the bus now; both fall when it is idle.
	LinkSpeed string `json:"link_speed,omitempty"`
	LinkWidth string `json:"link_width,omitempty"`
}

// gpus lists what NVIDIA's driver shows under /proc, and every other display
// or accelerator device of the PCI bus.
func (s *snapshot) gpus() {
	known := map[string]bool{}
	for _, dir := range s.glob("proc/driver/nvidia/gpus/*") {
		g := GPU{Bus: path.Base(dir), Vendor: "0x10de"}
		key := "gpus." + g.Bus
		if text, err := s.read(dir + "/information"); err != nil {
			s.absent(key, why(dir+"/information", err))
		} else {
			f := fields(text, ":")
			g.Model, g.UUID, g.VBIOS = f["Model"], f["GPU UUID"], f["Video BIOS"]
			if n, err := strconv.ParseInt(f["Device Minor"], 10, 64); err == nil {
				g.Minor = &n
			} else {
				s.absent(key+".minor", "/"+dir+"/information has no Device Minor")
			}
			if strings.Contains(g.UUID, "?") || g.UUID == "" {
				g.UUID = ""
				s.absent(key+".uuid", "the driver has not set the GPU up yet")
			}
		}
		known[strings.ToLower(g.Bus)] = true
		s.env.GPUs = append(s.env.GPUs, s.bus(g, key))
	}
	for _, dir := range s.glob("sys/bus/pci/devices/*") {
		class, err := s.read(dir + "/class")
		if err != nil || known[strings.ToLower(path.Base(dir))] {
			continue
		}
		// 0x03.... display, 0x1200.. processing accelerator.
		if strings.HasPrefix(class, "0x03") || strings.HasPrefix(class, "0x1200") {
			g := GPU{Bus: path.Base(dir)}
			s.text("gpus."+g.Bus+".vendor", dir+"/vendor", &g.Vendor)
			s.env.GPUs = append(s.env.GPUs, s.bus(g, "gpus."+g.Bus))
		}
	}
	if len(s.env.GPUs) == 0 {
		s.absent("gpus", "no NVIDIA driver under /proc/driver/nvidia, no display or accelerator device on the PCI bus")
	}
	text, err := s.read("proc/driver/nvidia/version")
	if err != nil {
		s.absent("nvidia_driver", why("proc/driver/nvidia/version", err))
		return
	}
	// "NVRM version: NVIDIA UNIX ... Kernel Module  550.54.15  Tue Mar ..."
	for word := range strings.FieldsSeq(text) {
		if len(word) >= 5 && word[0] >= '1' && word[0] <= '9' && strings.Contains(word, ".") && strings.Trim(word, "0123456789.") == "" {
			s.env.NVIDIADriver = word
			return
		}
	}
	s.absent("nvidia_driver", "/proc/driver/nvidia/version names no version")
}

// bus adds what the PCI bus knows.
func (s *snapshot) bus(g GPU, key string) GPU {
	dir := "sys/bus/pci/devices/" + strings.ToLower(g.Bus)
	if !s.exists(dir) {
		s.absent(key+".pci", "/"+dir+" does not exist")
		return g
	}
	s.text(key+".device", dir+"/device", &g.Device)
	if n := s.number(key+".numa_node", dir+"/numa_node"); n != nil && *n >= 0 {
		g.NUMA = n
	} else if n != nil {
		s.absent(key+".numa_node", "the kernel names none")
	}
	s.text(key+".link_speed", dir+"/current_link_speed", &g.LinkSpeed)
	s.text(key+".link_width", dir+"/current_link_width", &g.LinkWidth)
	return g
}
