package ledger

// The ids of rows. Each is a positive number that the database counts up and never uses again; zero
// is no row. They have types of their own so that the compiler notices two that are exchanged. In
// JSON and in SQL they are plain integers.
type (
	// RunID identifies a [Run]. People and logs use the run's name instead.
	RunID int64
	// PartitionID identifies a [Partition].
	PartitionID int64
	// DocumentID identifies a document of a source, in all runs.
	DocumentID int64
	// WorkerID identifies a registered worker, see [Ledger.Register].
	WorkerID int64
	// SourceID identifies a source, see [Ledger.PutSource].
	SourceID int64
	// ProfileID identifies a profile, see [Ledger.PutProfile].
	ProfileID int64
	// CallID identifies a call record, see [Ledger.BeginCall].
	CallID int64
)
