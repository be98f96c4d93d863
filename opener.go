package llem

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/energy/nvml"
	"github.com/llenergymeasure/llem/core/measure"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/registry"
	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
)

// opener starts plugins from the registry, for core/measure.
type opener struct {
	prepared *Prepared
	secrets  map[string]secretTable // of the energy sources, by name
	dir      *result.Dir
	locked   []string // plugins in the lock of dir
}

// Backend starts a fresh process for one load.
func (o *opener) Backend(ctx context.Context, cell study.Cell, log io.Writer) (*host.Plugin, result.Plugin, error) {
	plugin, entry, err := o.prepared.Registry.Start(ctx, cell.Plugin, host.Options{CoreVersion: Version, LogWriter: log})
	if err != nil {
		return nil, result.Plugin{}, err
	}
	return plugin, identity(entry, plugin), nil
}

// Source starts an energy source: an instance of the study, the built-in
// nvml, or a plugin by its own name.
func (o *opener) Source(ctx context.Context, name string) (measure.Source, error) {
	if _, instance := o.prepared.Spec.Sources[name]; name == nvml.Name && !instance {
		return builtIn(ctx, o.prepared.cacheDir("sensors")), nil
	}
	pluginName, request := name, sdk.OpenRequest{}
	for _, s := range o.prepared.sources {
		if s.name == name {
			table := o.secrets[name]
			pluginName, request = s.plugin, sdk.OpenRequest{Parameters: table.rest, Secrets: table.secrets}
		}
	}
	plugin, entry, err := o.prepared.Registry.Start(ctx, pluginName, host.Options{CoreVersion: Version})
	if err != nil {
		var missing *registry.NotFoundError
		if errors.As(err, &missing) {
			return measure.Source{}, fmt.Errorf("%w: %w", measure.ErrNotInstalled, err)
		}
		return measure.Source{}, err
	}
	source := measure.Source{
		Name: name, Plugin: identity(entry, plugin), Request: request, Sensor: plugin, Kill: plugin.Kill, Said: plugin.OpenWarnings,
	}
	if !slices.Contains(o.locked, pluginName) {
		source.Sensor = lockedOnceOpen{Sensor: plugin, lock: func() { o.lock(pluginName) }}
	}
	return source, nil
}

// builtIn is nvml with what it sees besides energy. It finds out first how the
// sensors of this machine behave, once for each card and driver.
func builtIn(ctx context.Context, cacheDir string) measure.Source {
	n := nvml.New()
	// What keeps it from looking keeps it from opening, which says so.
	_ = n.Characterise(ctx, cacheDir)
	return measure.Source{Name: nvml.Name, Sensor: n, Monitor: n, Mark: n.Mark, Notes: func(sinceNs int64) []energy.Warning {
		return notes(n.Events(sinceNs))
	}}
}

// notes are a source's events as warnings.
func notes(events []nvml.Event) []energy.Warning {
	var list []energy.Warning
	for _, e := range events {
		w := energy.Warning{Code: e.Code, Severity: energy.SeverityWarning, Message: e.Message, Domain: e.UUID}
		if e.Code == nvml.EventCacheUnwritable {
			w.Severity = energy.SeverityInfo
		}
		list = append(list, w)
	}
	return list
}

// lockedOnceOpen is a source that "auto" tries: what does not open is none of
// the study's plugins.
type lockedOnceOpen struct {
	measure.Sensor
	lock func()
}

// Open locks the plugin if it opens.
func (s lockedOnceOpen) Open(ctx context.Context, req sdk.OpenRequest) ([]sdk.Domain, error) {
	domains, err := s.Sensor.Open(ctx, req)
	if err == nil {
		s.lock()
	}
	return domains, err
}

// lock adds a plugin to the locks beside the study and in the results. Like
// any lock that cannot be written, a failure is a warning.
func (o *opener) lock(name string) {
	o.locked = append(o.locked, name)
	lock, err := o.prepared.keepLock(o.locked)
	if err == nil {
		err = o.dir.WriteLock(lock.Text())
	}
	if err != nil {
		o.prepared.notLocked(err)
	}
}

func identity(entry registry.Entry, plugin *host.Plugin) result.Plugin {
	return result.Plugin{
		Name: entry.Name, Version: entry.Version, SDKVersion: plugin.Description().SDKVersion, Digest: entry.Digest(),
	}
}
