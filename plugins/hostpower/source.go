package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// source estimates one domain: the CPU packages of this host.
type source struct {
	procfs string
	period time.Duration
	model  model
}

const (
	domainID        = "cpu"
	defaultPeriodMs = 100
	// The cut of idle times to 10 ms blurs an edge by a uniform 10 ms.
	lagSpreadNs = tickNs * 289 / 1000
)

// Describe implements sdk.EnergySource.
func (s *source) Describe() sdk.Description {
	return sdk.Description{
		Name: "hostpower", Version: "0.1.0",
		Doc: "An estimate of the CPU packages' power from CPU time and a table of TDPs, for machines where nothing can be measured.",
		Parameters: []sdk.Parameter{
			sdk.Float("tdp_w").Unit("W").Between(0.1, 100_000).For(sdk.RoleMachine).
				Doc("Power of all CPUs that this system sees when all are busy; without it, a table by model is asked."),
			sdk.Float("idle_share").Or(defaultIdleShare).Between(0, 1).For(sdk.RoleMachine).
				Doc("Share of the full power that is drawn when all CPUs are idle."),
			sdk.Int("period_ms").Unit("ms").Or(defaultPeriodMs).Between(20, 1000).For(sdk.RoleExecution).
				Doc("Time over which each sample is a mean."),
			sdk.Text("procfs").Or("/proc").For(sdk.RoleMachine).
				Doc("Where procfs lies."),
		},
	}
}

// Open implements sdk.EnergySource.
func (s *source) Open(_ context.Context, req sdk.OpenRequest) ([]sdk.Domain, error) {
	s.procfs = req.Parameters.String("procfs", "/proc")
	s.period = time.Duration(req.Parameters.Int("period_ms", defaultPeriodMs)) * time.Millisecond
	table, err := parts()
	if err != nil {
		return nil, err
	}
	machine, err := readMachine(s.procfs)
	if err != nil {
		return nil, unreadable(err)
	}
	now, err := readUsage(s.procfs)
	if err != nil {
		return nil, unreadable(err)
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, &sdk.Error{Code: sdk.Internal, Message: fmt.Sprintf("ask for the host's name: %v", err)}
	}
	s.model = newModel(machine, now.cpus, req.Parameters.Float("tdp_w", 0), req.Parameters.Float("idle_share", defaultIdleShare), table)
	return []sdk.Domain{{
		ID: domainID, Kind: sdk.DomainCPUPackage, DeviceIDs: []string{"host"}, Estimated: true,
		Reading: sdk.ReadingIntervalMean, Unit: sdk.UnitWatt, UnitNumerator: 1, UnitDenominator: 1000,
		UpdatePeriodNs: int64(s.period), LagSpreadNs: lagSpreadNs, FirstSampleNs: int64(s.period),
		Accuracy: sdk.Accuracy{GainRel: &s.model.GainRel, OffsetW: &s.model.OffsetW},
		Host:     host, Doc: s.model.Doc,
	}}, nil
}

// unreadable explains a failed look at procfs.
func unreadable(err error) error {
	e := &sdk.Error{
		Code: sdk.Internal, Message: fmt.Sprintf("estimate from CPU time: %v", err),
		Advice: "if procfs lies elsewhere, name its place with the parameter procfs",
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.Code = sdk.DeviceMissing
	case errors.Is(err, fs.ErrPermission):
		e.Code = sdk.Permission
	}
	return e
}

// Stream implements sdk.EnergySource.
func (s *source) Stream(ctx context.Context, emit func(sdk.SampleBatch) error) error {
	// A Ticker keeps to its first grid: a late tick does not move those after
	// it. A missed one makes one longer interval and loses nothing.
	ticker := time.NewTicker(s.period)
	defer ticker.Stop()
	first, err := readUsage(s.procfs)
	if err != nil {
		return unreadable(err)
	}
	meter := meter{last: first}
	for sequence := uint64(0); ; sequence++ {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		now, err := readUsage(s.procfs)
		if err != nil {
			return unreadable(err)
		}
		err = emit(sdk.SampleBatch{
			DomainID: domainID, Sequence: sequence, CompleteUntilNs: now.atNs,
			MonoNs: []int64{now.atNs}, Values: []int64{s.model.milliwatts(meter.share(now))},
		})
		if err != nil {
			return err
		}
	}
}

// Close implements sdk.EnergySource. Nothing is held between readings.
func (s *source) Close(context.Context) error { return nil }
