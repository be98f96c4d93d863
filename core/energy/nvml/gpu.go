package nvml

import (
	"errors"

	"github.com/llenergymeasure/llem/core/device"
)

// gpu is one device, as far as this package needs it. Its methods may be called
// from several goroutines at once. Errors match errAbsent, errLost or
// errPermission where NVML says so.
type gpu interface {
	UUID() string
	// EnergyMilliJ reads the counter since driver load. The call takes 2 to
	// 40 ms and spins.
	EnergyMilliJ() (uint64, error)
	// PowerRing returns the driver's samples stamped after lastUs, in
	// microseconds of wall-clock time, as the driver gave them. lastUs = 0 asks
	// for the whole ring.
	PowerRing(lastUs uint64) ([]ringSample, error)
	// Fields reads some fields in one call; the answer is as long as the question.
	Fields(ask ...field) []fieldValue
	// PlainMilliW is the oldest power call; what it averages depends on the chip.
	PlainMilliW() (uint64, error)

	// Facts has no Sensors.
	Facts() device.Facts
	// Reading and Snapshot come without stamps; Snapshot comes without its
	// Reading and its times, which are fields.
	Reading() device.Reading
	Snapshot() device.Snapshot
}

// Kinds of failure that decide what to do next.
var (
	errAbsent     = errors.New("this driver or GPU does not offer it")
	errLost       = errors.New("the GPU is lost: it fell off the bus or its driver was unloaded")
	errPermission = errors.New("no permission")
)

// ringSample is one entry of the driver's ring. A value that is no number of
// milliwatts (NaN, negative) is noMilliW.
type ringSample struct {
	WallUs uint64
	MilliW uint64
}

// field is one NVML field in one scope.
type field struct{ ID, Scope uint32 }

// fieldValue is the answer for one field.
type fieldValue struct {
	Value uint64
	Err   error
}

// Fields and scopes of nvml.h.
const (
	fieldPowerCapTime   = 74
	fieldEnergy         = 83
	fieldPowerAverage   = 185
	fieldPowerInstant   = 186
	fieldSWThermalTime  = 269
	fieldHWThermalTime  = 270
	fieldPowerBrakeTime = 271

	scopeGPU    = 0
	scopeModule = 1
	scopeMemory = 2
)

// readField reads one field.
func readField(g gpu, id, scope uint32) (uint64, error) {
	answer := g.Fields(field{id, scope})
	if len(answer) != 1 {
		return 0, errAbsent
	}
	return answer[0].Value, answer[0].Err
}

// driver is a loaded NVML library.
type driver struct {
	cards    []card
	shutdown func() // nil if there is nothing to undo
}

// card is one physical GPU before it is opened.
type card struct {
	UUID, Model string
	// MIG holds the UUIDs of its instances.
	MIG []string
	gpu gpu
}

// library loads NVML and lists the GPUs.
type library func() (driver, error)
