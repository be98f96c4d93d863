package wire

import (
	"fmt"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/pb"
)

// ToDomain translates a domain.
func ToDomain(d sdk.Domain) *pb.Domain {
	return &pb.Domain{
		Id: d.ID, Kind: domainKinds.to(d.Kind), DeviceIds: d.DeviceIDs, ContainedIn: d.ContainedIn,
		Reading: readings.to(d.Reading), Unit: units.to(d.Unit), UnitNumerator: d.UnitNumerator,
		UnitDenominator: d.UnitDenominator, AveragingNs: d.AveragingNs, LagNs: d.LagNs, LagSpreadNs: d.LagSpreadNs,
		UpdatePeriodNs: d.UpdatePeriodNs, Estimated: d.Estimated, ChangesOnly: d.ChangesOnly,
		Accuracy: &pb.Accuracy{GainRel: d.Accuracy.GainRel, OffsetW: d.Accuracy.OffsetW, Confidence: d.Accuracy.Confidence},
		Host:     d.Host, FirstSampleNs: d.FirstSampleNs, Doc: d.Doc, MostPowerW: d.MostPowerW,
	}
}

// FromDomain translates a domain. An unknown reading or unit is an error, an
// unknown kind is kept and shown.
func FromDomain(d *pb.Domain) (sdk.Domain, error) {
	reading, err := readings.known(fmt.Sprintf("the reading of energy domain %q", d.GetId()), d.GetReading())
	if err != nil {
		return sdk.Domain{}, err
	}
	unit, err := units.known(fmt.Sprintf("the unit of energy domain %q", d.GetId()), d.GetUnit())
	if err != nil {
		return sdk.Domain{}, err
	}
	out := sdk.Domain{
		ID: d.GetId(), Kind: domainKinds.from(d.GetKind()), DeviceIDs: d.GetDeviceIds(), ContainedIn: d.GetContainedIn(),
		Reading: reading, Unit: unit, UnitNumerator: d.GetUnitNumerator(), UnitDenominator: d.GetUnitDenominator(),
		AveragingNs: d.GetAveragingNs(), LagNs: d.GetLagNs(), LagSpreadNs: d.GetLagSpreadNs(),
		UpdatePeriodNs: d.GetUpdatePeriodNs(), Estimated: d.GetEstimated(), Host: d.GetHost(),
		FirstSampleNs: d.GetFirstSampleNs(), Doc: d.GetDoc(), ChangesOnly: d.GetChangesOnly(), MostPowerW: d.GetMostPowerW(),
	}
	if a := d.GetAccuracy(); a != nil {
		out.Accuracy = sdk.Accuracy{GainRel: a.GainRel, OffsetW: a.OffsetW, Confidence: a.Confidence}
	}
	return out, nil
}

// ToBatch translates a run of samples.
func ToBatch(b sdk.SampleBatch) *pb.StreamResponse {
	return &pb.StreamResponse{
		DomainId: b.DomainID, Epoch: b.Epoch, Sequence: b.Sequence, Dropped: b.Dropped,
		CompleteUntilNs: b.CompleteUntilNs, MonoNs: b.MonoNs, Values: b.Values,
	}
}

// FromBatch translates a run of samples as it is: what is wrong with it is the
// recording's to judge and to count.
func FromBatch(b *pb.StreamResponse) sdk.SampleBatch {
	return sdk.SampleBatch{
		DomainID: b.GetDomainId(), Epoch: b.GetEpoch(), Sequence: b.GetSequence(), Dropped: b.GetDropped(),
		CompleteUntilNs: b.GetCompleteUntilNs(), MonoNs: b.GetMonoNs(), Values: b.GetValues(),
	}
}
