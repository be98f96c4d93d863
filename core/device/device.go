// Package device describes the state of accelerators around a measurement: how
// they are set, what they were doing, and who used them. It holds plain values;
// a source that can see a device fills them, and the gates judge them.
//
// Every value may be unknown. nil means that it was not read, and never 0: what
// a driver does not tell is named in Facts.Absent with the reason.
package device

// Facts are what a GPU is and how it is set. They stay the same in a trial
// unless somebody changes them.
type Facts struct {
	UUID string `json:"uuid"`
	// Index is NVML's, which may differ from CUDA's.
	Index        int    `json:"index"`
	Model        string `json:"model,omitempty"`
	Architecture string `json:"architecture,omitempty"`
	Driver       string `json:"driver,omitempty"`
	VBIOS        string `json:"vbios,omitempty"`

	Persistence *bool `json:"persistence,omitempty"`
	// MIG tells whether the GPU is split; MIGInstances counts its parts.
	MIG          *bool `json:"mig,omitempty"`
	MIGInstances *int  `json:"mig_instances,omitempty"`
	// Virtual is true for a share of a card (vGPU); pass-through is false.
	Virtual *bool `json:"virtual,omitempty"`
	ECC     *bool `json:"ecc,omitempty"`

	DefaultLimitMilliW *int64 `json:"default_limit_mw,omitempty"`
	LeastLimitMilliW   *int64 `json:"least_limit_mw,omitempty"`
	MostLimitMilliW    *int64 `json:"most_limit_mw,omitempty"`

	// Sensors as they were characterised on this GPU and driver.
	Sensors []Sensor `json:"sensors,omitempty"`
	// Absent says why a value is not there, by its JSON name.
	Absent map[string]string `json:"absent,omitempty"`
}

// Sensor is one reading of a GPU as it was found to behave.
type Sensor struct {
	// Name is "ring", "counter", "average" or "instant".
	Name string `json:"name"`
	// Scope of the joules: "gpu", "module", "memory".
	Scope string `json:"scope"`
	// UpdateNs is the median distance of two changes; 0 = it did not change.
	UpdateNs int64 `json:"update_ns"`
	// ResolutionCounts is the greatest common divisor of the changes, in counts
	// of the sensor's unit; 0 = not known.
	ResolutionCounts int64 `json:"resolution_counts"`
	CallP50Ns        int64 `json:"call_p50_ns"`
	CallP99Ns        int64 `json:"call_p99_ns"`
	Calls            int   `json:"calls"`
	Changes          int   `json:"changes"`
	// Depth is how many entries a ring holds.
	Depth int `json:"depth,omitempty"`
	// Error is why the sensor cannot be read; the numbers are then 0.
	Error string `json:"error,omitempty"`
}

// Reading is one cheap look at a GPU: microseconds, made once a second.
type Reading struct {
	MonoNs         int64  `json:"mono_ns"`
	TemperatureC   *int64 `json:"temperature_c,omitempty"`
	SMClockMHz     *int64 `json:"sm_clock_mhz,omitempty"`
	MemoryClockMHz *int64 `json:"memory_clock_mhz,omitempty"`
	UtilisationPct *int64 `json:"utilisation_pct,omitempty"`
	LimitMilliW    *int64 `json:"limit_mw,omitempty"`
	// Reasons is NVML's bit mask of what holds the clocks back.
	Reasons *uint64 `json:"reasons,omitempty"`
}

// Snapshot is a dear look at a GPU: tens of milliseconds, made outside windows.
type Snapshot struct {
	MonoNs  int64   `json:"mono_ns"`
	Reading Reading `json:"reading"`
	// Times since the driver was loaded that the clocks were held back.
	PowerCapNs   *int64 `json:"power_cap_ns,omitempty"`
	SWThermalNs  *int64 `json:"sw_thermal_ns,omitempty"`
	HWThermalNs  *int64 `json:"hw_thermal_ns,omitempty"`
	PowerBrakeNs *int64 `json:"power_brake_ns,omitempty"`

	// ECCUncorrected counts uncorrected errors since the driver was loaded.
	ECCUncorrected  *int64 `json:"ecc_uncorrected,omitempty"`
	RowRemapPending *bool  `json:"row_remap_pending,omitempty"`
	MemoryUsedBytes *int64 `json:"memory_used_bytes,omitempty"`

	// Processes on the GPU; nil = not known, empty = none.
	Processes []Process `json:"processes"`
}

// Process is a user of a GPU, in the pid namespace of the host.
type Process struct {
	PID int `json:"pid"`
	// Kind is "compute", "graphics" or "mps".
	Kind string `json:"kind"`
}
