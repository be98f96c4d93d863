package nvml

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/llenergymeasure/llem/core/device"
)

// begin marks a call into the driver as in flight and returns the visible GPUs;
// end must be called. Before Open or Characterise, and after Close, there is none.
func (s *Source) begin() (gpus []gpu, end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.driver == nil {
		return nil, func() {}
	}
	s.calls.Add(1)
	return s.chosen, s.calls.Done
}

// Facts describes the visible GPUs. Sensors are there once Characterise has run.
// It takes milliseconds: call it outside windows.
func (s *Source) Facts() []device.Facts {
	gpus, end := s.begin()
	defer end()
	var list []device.Facts
	for _, g := range gpus {
		f := g.Facts()
		s.mu.Lock()
		f.Sensors = slices.Clone(s.sensors[g.UUID()])
		s.mu.Unlock()
		list = append(list, f)
	}
	return list
}

// Read looks at the named GPUs, or all visible ones for nil. It costs about
// 0.1 ms each. A GPU that is not visible is not in the answer; a value that
// cannot be read is nil.
func (s *Source) Read(uuids []string) map[string]device.Reading {
	gpus, end := s.begin()
	defer end()
	answer := map[string]device.Reading{}
	for _, g := range gpus {
		if uuids == nil || slices.Contains(uuids, g.UUID()) {
			answer[g.UUID()] = s.reading(g)
		}
	}
	return answer
}

func (s *Source) reading(g gpu) device.Reading {
	now := s.clock.mono()
	r := g.Reading()
	r.MonoNs = now
	return r
}

// Snapshot is Read with all that is dear: the times for which the clocks were
// held back, ECC, row remaps, memory and processes. It takes tens of
// milliseconds a GPU, spins, and belongs outside windows. Snapshots and drains do
// not wait for each other in this package.
func (s *Source) Snapshot(uuids []string) map[string]device.Snapshot {
	gpus, end := s.begin()
	defer end()
	answer := map[string]device.Snapshot{}
	for _, g := range gpus {
		if uuids == nil || slices.Contains(uuids, g.UUID()) {
			answer[g.UUID()] = s.snapshot(g)
		}
	}
	return answer
}

func (s *Source) snapshot(g gpu) device.Snapshot {
	now := s.clock.mono()
	shot := g.Snapshot()
	shot.MonoNs, shot.Reading = now, s.reading(g)
	times := []struct {
		id uint32
		to **int64
	}{
		{fieldPowerCapTime, &shot.PowerCapNs}, {fieldSWThermalTime, &shot.SWThermalNs},
		{fieldHWThermalTime, &shot.HWThermalNs}, {fieldPowerBrakeTime, &shot.PowerBrakeNs},
	}
	var ask []field
	for _, t := range times {
		ask = append(ask, field{t.id, scopeGPU})
	}
	for i, v := range g.Fields(ask...) {
		if v.Err == nil && v.Value <= math.MaxInt64 {
			ns := int64(v.Value)
			*times[i].to = &ns
		}
	}
	return shot
}

// absentReason words why a value is not there, for Facts.Absent.
func absentReason(err error) string {
	switch {
	case errors.Is(err, errAbsent):
		return "this GPU or driver does not tell"
	case errors.Is(err, errPermission):
		return "no permission to read it"
	}
	return fmt.Sprint(err)
}
