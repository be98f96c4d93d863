package main

import (
	"fmt"

	"github.com/llenergymeasure/llem"
	"github.com/llenergymeasure/llem/core/energy/nvml"
	"github.com/llenergymeasure/llem/sdk"
)

// showBuiltIn is `llem plugins show` for the source that is no plugin.
func showBuiltIn(a *app) error {
	_, err := fmt.Fprintf(a.stdout, `%s  Energy of NVIDIA GPUs, as their driver reports it.
kinds     [%s]
where     built into llem %s; it is no plugin, and takes no parameters
reads     for each GPU the driver's ring of power samples, where there is one,
          and the energy counter as a check on it, or else the counter alone
here      %s
`, nvml.Name, sdk.KindEnergySource, llem.Version, tryOpen(a.ctx, nvml.New()).Text)
	return err
}
