package environ

// trees are file systems of machines, by path. They are no directories under
// testdata because names of the PCI bus hold colons, which modules cannot.
func trees() map[string]map[string]string {
	return map[string]map[string]string{
		"server":    server(),
		"container": container(),
		"arm":       arm(),
		"empty":     {},
		"damaged":   damaged(),
	}
}

// server is a machine with two sockets, two NUMA nodes and an NVIDIA GPU.
func server() map[string]string {
	const node = "sys/devices/system/node/"
	const cpu = "sys/devices/system/cpu/"
	const bus = "sys/bus/pci/devices/0000:3b:00.0/"
	return map[string]string{
		"proc/sys/kernel/hostname":       "alpha\n",
		"proc/sys/kernel/osrelease":      "6.1.0-18-amd64\n",
		"proc/sys/kernel/random/boot_id": "11111111-2222-3333-4444-555555555555\n",
		"etc/os-release":                 "NAME=\"Debian GNU/Linux\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
		"proc/cpuinfo": "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Xeon Gold 6430\nmicrocode\t: 0x2b0004d0\nphysical id\t: 0\ncore id\t: 0\nflags\t\t: fpu smep sse4_2 avx avx2 fma f16c avx512f avx512_bf16 amx_tile amx_bf16\n\n" +
			"processor\t: 1\nphysical id\t: 0\ncore id\t: 0\n\n" +
			"processor\t: 2\nphysical id\t: 1\ncore id\t: 0\n\n" +
			"processor\t: 3\nphysical id\t: 1\ncore id\t: 0\n",
		"proc/meminfo":                                                      "MemTotal:       527955336 kB\nMemAvailable:   500000000 kB\nSwapTotal:             0 kB\n",
		"proc/loadavg":                                                      "0.42 0.50 0.61 2/913 12345\n",
		cpu + "cpu0/cpufreq/scaling_governor":                               "performance\n",
		cpu + "cpu1/cpufreq/scaling_governor":                               "performance\n",
		cpu + "cpu2/cpufreq/scaling_governor":                               "powersave\n",
		cpu + "cpu0/cpufreq/scaling_driver":                                 "intel_pstate\n",
		cpu + "cpu0/cpufreq/scaling_min_freq":                               "800000\n",
		cpu + "cpu0/cpufreq/scaling_max_freq":                               "3400000\n",
		cpu + "cpu0/cpufreq/cpuinfo_max_freq":                               "3400000\n",
		cpu + "intel_pstate/no_turbo":                                       "1\n",
		cpu + "smt/control":                                                 "on\n",
		node + "node0/cpulist":                                              "0-1\n",
		node + "node0/meminfo":                                              "Node 0 MemTotal:       263977668 kB\nNode 0 MemFree: 1 kB\n",
		node + "node10/cpulist":                                             "2-3\n",
		node + "node10/meminfo":                                             "Node 10 MemTotal:      263977668 kB\n",
		"proc/self/cgroup":                                                  "0::/user.slice/job.scope\n",
		"proc/self/status":                                                  "Name:\tllem\nCpus_allowed_list:\t0-3\n",
		"sys/fs/cgroup/user.slice/cpu.max":                                  "max 100000\n",
		"sys/fs/cgroup/user.slice/job.scope/memory.max":                     "max\n",
		"sys/class/dmi/id/product_name":                                     "PowerEdge R760xa\n",
		"sys/devices/system/clocksource/clocksource0/current_clocksource":   "tsc\n",
		"sys/devices/system/clocksource/clocksource0/available_clocksource": "tsc hpet acpi_pm\n",
		"run/systemd/timesync/synchronized":                                 "",
		"proc/driver/nvidia/version":                                        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\nGCC version:  gcc version 12.2.0\n",
		"proc/driver/nvidia/gpus/0000:3B:00.0/information":                  "Model: \t\t NVIDIA H100 PCIe\nIRQ:   \t\t 64\nGPU UUID: \t GPU-aaaa\nVideo BIOS: \t 96.00.74.00.01\nBus Location: \t 0000:3b:00.0\nDevice Minor: \t 0\n",
		bus + "class":                                                       "0x030200\n",
		bus + "vendor":                                                      "0x10de\n",
		bus + "device":                                                      "0x2331\n",
		bus + "numa_node":                                                   "1\n",
		bus + "current_link_speed":                                          "32.0 GT/s PCIe\n",
		bus + "current_link_width":                                          "16\n",
		"sys/bus/pci/devices/0000:03:00.0/class":                            "0x030000\n",
		"sys/bus/pci/devices/0000:03:00.0/vendor":                           "0x102b\n",
		"sys/bus/pci/devices/0000:00:1f.0/class":                            "0x060100\n",
	}
}

// container is a pod in a virtual machine with version 1 control groups.
func container() map[string]string {
	return map[string]string{
		"proc/cpuinfo":                               "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu avx2 hypervisor\n",
		"proc/self/cgroup":                           "4:cpu,cpuacct:/kubepods/pod1/abc\n3:memory:/kubepods/pod1/abc\n",
		"sys/fs/cgroup/cpu/cpu.cfs_quota_us":         "150000\n", // a container sees its own group as the root
		"sys/fs/cgroup/cpu/cpu.cfs_period_us":        "100000\n",
		"sys/fs/cgroup/memory/memory.limit_in_bytes": "4294967296\n",
		"sys/class/dmi/id/product_name":              "Google Compute Engine\n",
		"sys/devices/system/cpu/cpufreq/boost":       "1\n",
	}
}

// arm names its flags otherwise and tells no sockets.
func arm() map[string]string {
	return map[string]string{
		"proc/cpuinfo":                               "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd sve bf16 i8mm sha3\n\nprocessor\t: 1\nFeatures\t: fp\n",
		"run/.containerenv":                          "",
		"proc/self/cgroup":                           "0::/\n",
		"sys/fs/cgroup/cpu.max":                      "50000 100000\n",
		"sys/fs/cgroup/memory.max":                   "1073741824\n",
		"sys/bus/pci/devices/0000:01:00.0/class":     "0x120000\n",
		"sys/bus/pci/devices/0000:01:00.0/vendor":    "0x1da3\n",
		"sys/bus/pci/devices/0000:01:00.0/numa_node": "-1\n",
	}
}

// damaged files hold what they should not.
func damaged() map[string]string {
	return map[string]string{
		"proc/cpuinfo":                                         "\x00\xff\xfe",
		"proc/meminfo":                                         "MemTotal: lots\nMemAvailable: -1 kB\nSwapTotal: 99999999999999999999 kB\n",
		"proc/loadavg":                                         "0.1 NaN 0.3",
		"proc/self/cgroup":                                     "nonsense\n:::\n",
		"proc/self/status":                                     "",
		"etc/os-release":                                       "=\n",
		"sys/fs/cgroup/cpu.max":                                "-5 0\n",
		"sys/fs/cgroup/memory.max":                             "-1\n",
		"sys/devices/system/node/node0/meminfo":                "",
		"sys/devices/system/node/nodex/cpulist":                "0",
		"sys/devices/system/node/node0x/cpulist":               "0",
		"sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq": "fast",
		"proc/driver/nvidia/version":                           "???",
		"proc/driver/nvidia/gpus/0000:01:00.0/information":     "GPU UUID: GPU-????????-????\n",
		"sys/devices/system/clocksource/clocksource0/current_clocksource": "",
		"proc/sys/kernel/hostname/is-a-directory":                         "",
	}
}
