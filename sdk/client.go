package sdk

// ClientHealth says how the client that made a Run's load fared: how late it
// sent and how late it saw. nil = not known, or without a meaning in the Run's
// loop.
type ClientHealth struct {
	// Lateness is actual minus intended sending, of open loops.
	LatenessP50Ns  *int64
	LatenessP99Ns  *int64
	LatenessMostNs *int64
	// Delay is from the receive stamp to the moment at which the client had the
	// data.
	DelayP50Ns  *int64
	DelayP99Ns  *int64
	DelayMostNs *int64
	// CPUShare is CPU time by wall time, in cores: of the client's process, and
	// of its busiest thread.
	CPUShare       *float64
	ThreadCPUShare *float64
	Reads          *int64
	// MergedEvents came in one read with an earlier event and share its stamp.
	MergedEvents *int64
	// StampSource is StampKernel or StampUser.
	StampSource string
	// FallbackStamps are reads that have the client's own stamp for lack of a
	// kernel's.
	FallbackStamps *int64
}

// The sources of a client's stamps.
const (
	StampKernel = "kernel" // of the moment at which the kernel received the data
	StampUser   = "user"   // of the moment at which the client had them
)
