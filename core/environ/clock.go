package environ

import (
	"golang.org/x/sys/unix"
)

// Clock says how the machine keeps time.
type Clock struct {
	Source    string `json:"source,omitempty"`
	Available string `json:"available,omitempty"`
	// Synchronised with other clocks, as the kernel believes. It matters for
	// comparing wall times between hosts; windows use a clock of their own.
	Synchronised *bool `json:"synchronised,omitempty"`
	// Service that seems to do it, by its files.
	Service string `json:"service,omitempty"`
}

func (s *snapshot) clock() {
	c := &s.env.Clock
	const dir = "sys/devices/system/clocksource/clocksource0/"
	s.text("clock.source", dir+"current_clocksource", &c.Source)
	s.text("clock.available", dir+"available_clocksource", &c.Available)
	for _, m := range []struct{ path, service string }{
		{"run/systemd/timesync/synchronized", "systemd-timesyncd"},
		{"run/chrony", "chrony"},
		{"var/lib/chrony/drift", "chrony"},
		{"run/ntpd.pid", "ntpd"},
	} {
		if s.exists(m.path) {
			c.Service = m.service
			break
		}
	}
	if c.Service == "" {
		s.absent("clock.service", "no files of systemd-timesyncd, chrony or ntpd")
	}
	if !s.real {
		s.absent("clock.synchronised", "only the running kernel tells")
		return
	}
	var state unix.Timex // no mode bits: it is only read
	code, err := unix.Adjtimex(&state)
	if err != nil {
		s.absent("clock.synchronised", "adjtimex: "+err.Error())
		return
	}
	ok := code != unix.TIME_ERROR && state.Status&unix.STA_UNSYNC == 0
	c.Synchronised = &ok
}
