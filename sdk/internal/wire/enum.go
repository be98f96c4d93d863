package wire

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/pb"
)

// enum translates between an sdk string type and a protobuf enum by a table.
type enum[S ~string, P protoreflect.Enum] struct {
	words map[S]P
}

// to returns the enum value, or 0 for a word that the contract does not have.
func (e enum[S, P]) to(word S) P {
	value, ok := e.words[word]
	if !ok {
		var zero P
		return zero
	}
	return value
}

// from returns the word; an unknown value is described and 0 is "".
func (e enum[S, P]) from(value P) S {
	for word, known := range e.words {
		if known.Number() == value.Number() {
			return word
		}
	}
	if value.Number() == 0 {
		return ""
	}
	return S(fmt.Sprintf("unknown(%d)", value.Number()))
}

// known returns the word, or an error naming what cannot be understood.
func (e enum[S, P]) known(what string, value P) (S, error) {
	word := e.from(value)
	if word == "" || strings.HasPrefix(string(word), "unknown(") {
		return "", &sdk.Error{
			Code: sdk.InvalidRequest, Phase: "read " + what,
			Message: fmt.Sprintf("%s has the value %d, which this version does not know and cannot guess", what, value.Number()),
			Advice:  "update llem or the plugin so that both speak the same contract",
		}
	}
	return word, nil
}

var (
	kinds = enum[sdk.Kind, pb.Kind]{map[sdk.Kind]pb.Kind{
		sdk.KindBackend: pb.Kind_KIND_BACKEND, sdk.KindEnergySource: pb.Kind_KIND_ENERGY_SOURCE,
	}}
	parameterTypes = enum[sdk.ParameterType, pb.ParameterType]{map[sdk.ParameterType]pb.ParameterType{
		sdk.TypeBool: pb.ParameterType_PARAMETER_TYPE_BOOL, sdk.TypeInt: pb.ParameterType_PARAMETER_TYPE_INT,
		sdk.TypeFloat: pb.ParameterType_PARAMETER_TYPE_FLOAT, sdk.TypeString: pb.ParameterType_PARAMETER_TYPE_STRING,
		sdk.TypeList: pb.ParameterType_PARAMETER_TYPE_LIST, sdk.TypeTable: pb.ParameterType_PARAMETER_TYPE_TABLE,
		sdk.TypeFreeTable: pb.ParameterType_PARAMETER_TYPE_FREE_TABLE,
	}}
	roles = enum[sdk.Role, pb.ParameterRole]{map[sdk.Role]pb.ParameterRole{
		sdk.RoleMeasurement: pb.ParameterRole_PARAMETER_ROLE_MEASUREMENT,
		sdk.RoleMachine:     pb.ParameterRole_PARAMETER_ROLE_MACHINE,
		sdk.RoleExecution:   pb.ParameterRole_PARAMETER_ROLE_EXECUTION,
	}}
	depths = enum[sdk.Depth, pb.CheckDepth]{map[sdk.Depth]pb.CheckDepth{
		sdk.DepthStatic: pb.CheckDepth_CHECK_DEPTH_STATIC, sdk.DepthEnvironment: pb.CheckDepth_CHECK_DEPTH_ENVIRONMENT,
	}}
	severities = enum[sdk.Severity, pb.Severity]{map[sdk.Severity]pb.Severity{
		sdk.SeverityError: pb.Severity_SEVERITY_ERROR, sdk.SeverityWarning: pb.Severity_SEVERITY_WARNING,
		sdk.SeverityDormant: pb.Severity_SEVERITY_DORMANT,
	}}
	edges = enum[sdk.EdgeKind, pb.EdgeKind]{map[sdk.EdgeKind]pb.EdgeKind{
		sdk.EdgeNone: pb.EdgeKind_EDGE_KIND_NONE, sdk.EdgeDeviceSync: pb.EdgeKind_EDGE_KIND_DEVICE_SYNC,
		sdk.EdgeQuiesced: pb.EdgeKind_EDGE_KIND_QUIESCED,
	}}
	weights = enum[sdk.Weights, pb.Weights]{map[sdk.Weights]pb.Weights{
		sdk.WeightsAuto: pb.Weights_WEIGHTS_AUTO, sdk.WeightsDummy: pb.Weights_WEIGHTS_DUMMY,
	}}
	loops = enum[sdk.Loop, pb.Loop]{map[sdk.Loop]pb.Loop{
		sdk.LoopBatch: pb.Loop_LOOP_BATCH, sdk.LoopClosed: pb.Loop_LOOP_CLOSED, sdk.LoopOpen: pb.Loop_LOOP_OPEN,
	}}
	stages = enum[sdk.StageKind, pb.StageKind]{map[sdk.StageKind]pb.StageKind{
		sdk.StageDownload: pb.StageKind_STAGE_KIND_DOWNLOAD, sdk.StageBuild: pb.StageKind_STAGE_KIND_BUILD,
		sdk.StageWeights: pb.StageKind_STAGE_KIND_WEIGHTS, sdk.StageCompile: pb.StageKind_STAGE_KIND_COMPILE,
		sdk.StageCapture: pb.StageKind_STAGE_KIND_CAPTURE, sdk.StageStart: pb.StageKind_STAGE_KIND_START,
	}}
	moments = enum[sdk.StageMoment, pb.StageMoment]{map[sdk.StageMoment]pb.StageMoment{
		sdk.StageBegin: pb.StageMoment_STAGE_MOMENT_BEGIN, sdk.StageProgress: pb.StageMoment_STAGE_MOMENT_PROGRESS,
		sdk.StageEnd: pb.StageMoment_STAGE_MOMENT_END,
	}}
	records = enum[sdk.Record, pb.Record]{map[sdk.Record]pb.Record{
		sdk.RecordRequest: pb.Record_RECORD_REQUEST, sdk.RecordChunk: pb.Record_RECORD_CHUNK,
		sdk.RecordToken: pb.Record_RECORD_TOKEN,
	}}
	reasons = enum[sdk.FinishReason, pb.FinishReason]{map[sdk.FinishReason]pb.FinishReason{
		sdk.FinishStopped: pb.FinishReason_FINISH_REASON_STOPPED, sdk.FinishLimit: pb.FinishReason_FINISH_REASON_LIMIT,
		sdk.FinishWorkUsedUp: pb.FinishReason_FINISH_REASON_WORK_USED_UP,
		sdk.FinishAborted:    pb.FinishReason_FINISH_REASON_ABORTED,
	}}
	stopKinds = enum[sdk.StopKind, pb.StopKind]{map[sdk.StopKind]pb.StopKind{
		sdk.StopAfterPass: pb.StopKind_STOP_KIND_AFTER_PASS, sdk.StopDrain: pb.StopKind_STOP_KIND_DRAIN,
		sdk.StopAbort: pb.StopKind_STOP_KIND_ABORT,
	}}
	domainKinds = enum[sdk.DomainKind, pb.DomainKind]{map[sdk.DomainKind]pb.DomainKind{
		sdk.DomainGPU: pb.DomainKind_DOMAIN_KIND_GPU, sdk.DomainGPUMemory: pb.DomainKind_DOMAIN_KIND_GPU_MEMORY,
		sdk.DomainModule: pb.DomainKind_DOMAIN_KIND_MODULE, sdk.DomainCPUPackage: pb.DomainKind_DOMAIN_KIND_CPU_PACKAGE,
		sdk.DomainDRAM: pb.DomainKind_DOMAIN_KIND_DRAM, sdk.DomainNode: pb.DomainKind_DOMAIN_KIND_NODE,
		sdk.DomainRack: pb.DomainKind_DOMAIN_KIND_RACK,
	}}
	readings = enum[sdk.Reading, pb.Reading]{map[sdk.Reading]pb.Reading{
		sdk.ReadingCounter: pb.Reading_READING_COUNTER, sdk.ReadingInstant: pb.Reading_READING_INSTANT,
		sdk.ReadingTrailingMean: pb.Reading_READING_TRAILING_MEAN,
		sdk.ReadingIntervalMean: pb.Reading_READING_INTERVAL_MEAN,
	}}
	units = enum[sdk.UnitName, pb.Unit]{map[sdk.UnitName]pb.Unit{
		sdk.UnitJoule: pb.Unit_UNIT_JOULE, sdk.UnitWatt: pb.Unit_UNIT_WATT,
	}}
	codes = enum[sdk.Code, pb.ErrorCode]{map[sdk.Code]pb.ErrorCode{
		sdk.OutOfMemory:          pb.ErrorCode_ERROR_CODE_OUT_OF_MEMORY,
		sdk.UnsupportedParameter: pb.ErrorCode_ERROR_CODE_UNSUPPORTED_PARAMETER,
		sdk.EngineMissing:        pb.ErrorCode_ERROR_CODE_ENGINE_MISSING,
		sdk.ModelMissing:         pb.ErrorCode_ERROR_CODE_MODEL_MISSING,
		sdk.EngineCrashed:        pb.ErrorCode_ERROR_CODE_ENGINE_CRASHED,
		sdk.Timeout:              pb.ErrorCode_ERROR_CODE_TIMEOUT,
		sdk.InvalidRequest:       pb.ErrorCode_ERROR_CODE_INVALID_REQUEST,
		sdk.CallOrder:            pb.ErrorCode_ERROR_CODE_CALL_ORDER,
		sdk.UnsupportedFeature:   pb.ErrorCode_ERROR_CODE_UNSUPPORTED_FEATURE,
		sdk.Panicked:             pb.ErrorCode_ERROR_CODE_PANIC,
		sdk.Cancelled:            pb.ErrorCode_ERROR_CODE_CANCELLED,
		sdk.Permission:           pb.ErrorCode_ERROR_CODE_PERMISSION,
		sdk.DeviceMissing:        pb.ErrorCode_ERROR_CODE_DEVICE_MISSING,
		sdk.Internal:             pb.ErrorCode_ERROR_CODE_INTERNAL,
	}}
)
