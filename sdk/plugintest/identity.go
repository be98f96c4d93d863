package plugintest

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
)

// The rules about what a plugin says of itself before it touches a device.
const handshakeRule = "it shakes hands and describes itself within 10 s, and prints nothing"

var identityRules = []rule{
	{handshakeRule, handshake},
	{"its description is sound", described},
	{"its parameter schema is sound", schemaSound},
	{"Check gives one verdict a cell and refuses unknown keys", checks},
	{"requests that it does not fully understand are refused", refusals},
}

// handshake includes the clock: a start fails if the plugin's stamps are not
// CLOCK_MONOTONIC nanoseconds of this boot.
func handshake(ctx context.Context, s *suite) error {
	p, err := s.launch(ctx)
	if err != nil {
		return err
	}
	defer p.Kill()
	about := p.Description()
	s.about = &about
	return nil
}

var (
	namePattern   = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	semverPattern = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)
)

func described(ctx context.Context, s *suite) error {
	return s.with(ctx, "", func(p *host.Plugin) error {
		d, boot := p.Description(), sdk.BootID()
		var wrong []error
		expect := func(ok bool, format string, args ...any) {
			if !ok {
				wrong = append(wrong, fmt.Errorf(format, args...))
			}
		}
		expect(namePattern.MatchString(d.Name), "the name %q must be lower-case letters, digits and hyphens", d.Name)
		expect(semverPattern.MatchString(d.Version), "the version %q must be a semantic version without a leading v, such as 1.2.0", d.Version)
		expect(d.LeastCore == "" || semverPattern.MatchString(d.LeastCore), "the least core version %q must be a semantic version or empty", d.LeastCore)
		expect(d.Doc != "", "the doc is empty; listings show it")
		expect(len(d.Kinds) > 0, "no kind is served")
		for i, kind := range d.Kinds {
			expect(kind == sdk.KindBackend || kind == sdk.KindEnergySource, "the kind %q is not one of the contract's", kind)
			expect(!slices.Contains(d.Kinds[:i], kind), "the kind %q is named twice", kind)
		}
		expect(d.MonoNowNs > 0, "the clock reads %d ns", d.MonoNowNs)
		expect(d.BootID == boot, "the boot id is %q and this machine's is %q", d.BootID, boot)
		return errors.Join(wrong...)
	})
}

// unknownKey is a key that no plugin has.
const unknownKey = "conformance_no_such_key"

func checks(ctx context.Context, s *suite) error {
	return s.with(ctx, sdk.KindBackend, func(p *host.Plugin) error {
		cell := s.wanted()
		cells := []sdk.Cell{cell, cell, cell}
		cells[0].ID, cells[1].ID, cells[2].ID = "first", "unknown-key", "third"
		cells[1].Parameters = sdk.Table{unknownKey: int64(1)}
		for key, value := range cell.Parameters {
			cells[1].Parameters[key] = value
		}
		// The host refuses verdicts that are too many, too few or in another
		// order.
		verdicts, err := p.Check(ctx, cells, sdk.DepthStatic)
		if err != nil {
			return err
		}
		for _, d := range verdicts[1].Diagnostics {
			if d.Severity == sdk.SeverityError && strings.Contains(d.KeyPath, unknownKey) {
				return nil
			}
		}
		return fmt.Errorf("a cell with the unknown key %q got no diagnostic of severity error on it, but %+v", unknownKey, verdicts[1].Diagnostics)
	})
}

func refusals(ctx context.Context, s *suite) error {
	return s.with(ctx, "", func(p *host.Plugin) error {
		if err := p.CallWithUnknownField(ctx); !errors.Is(err, sdk.InvalidRequest) {
			return fmt.Errorf("a request with an unknown field must be refused with code %s; got: %v", sdk.InvalidRequest, err)
		}
		if err := p.CallWithUnknownFeature(ctx); !errors.Is(err, sdk.UnsupportedFeature) {
			return fmt.Errorf("a request that requires an unknown feature must be refused with code %s; got: %v", sdk.UnsupportedFeature, err)
		}
		return nil
	})
}

// refused tells how a call that is out of order was answered, unless rightly.
func refused(what string, err error) error {
	if errors.Is(err, sdk.CallOrder) {
		return nil
	}
	if err == nil {
		return fmt.Errorf("%s must be refused with code %s and was accepted", what, sdk.CallOrder)
	}
	return fmt.Errorf("%s must be refused with code %s; got: %w", what, sdk.CallOrder, err)
}
