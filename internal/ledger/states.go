package ledger

// State of a run.
type State string

// The states of a run.
const (
	Planning State = "planning"
	Running  State = "running"
	Finished State = "finished"
	Stopped  State = "stopped"
)

// Reason why a run is stopped.
type Reason string

// The reasons of a stop. A cancelled run is over: the next run of its source and profile is a new
// one.
const (
	Budget    Reason = "budget"
	Halted    Reason = "halted"
	Quota     Reason = "quota" // a quota of the endpoint that is longer than a minute
	Paused    Reason = "paused"
	Cancelled Reason = "cancelled"
)

// partitionState is the state of a partition.
type partitionState string

const (
	partitionPlanned partitionState = "planned" // not published yet: workers do not see it
	partitionReady   partitionState = "ready"   // may have open documents
	partitionDone    partitionState = "done"
)

// DocumentState is the state of a document in a run, or of its last result under a profile. In a
// run it is pending, claimed, done, skipped or dead; a result is done, dead, retry or dropped.
type DocumentState string

// The states of a document.
const (
	DocumentPending DocumentState = "pending" // waits for a worker, or for its next attempt
	DocumentClaimed DocumentState = "claimed" // a worker holds it
	DocumentDone    DocumentState = "done"    // has a summary
	DocumentSkipped DocumentState = "skipped" // unchanged since an earlier run, or dropped
	DocumentDead    DocumentState = "dead"    // a dead letter
	DocumentRetry   DocumentState = "retry"   // a redriven dead letter without a new outcome
	DocumentDropped DocumentState = "dropped" // a dead letter whose loss was accepted
)

// Class is the kind of a failure: of a dead letter, of an attempt, or of a call. Classes of failed
// calls are those of internal/llm.
type Class string

// The classes of dead letters.
const (
	ClassInput         Class = "input"           // the document cannot be read, or has no text
	ClassInputGone     Class = "input_gone"      // the document is gone from its source
	ClassRefused       Class = "refused"         // the provider or the model refused the document
	ClassBadRequest    Class = "bad_request"     // the endpoint refused the request
	ClassOutputTooLong Class = "output_too_long" // the answer did not fit into the output limit
	ClassBadOutput     Class = "bad_output"      // the answer does not match the schema
	ClassExhausted     Class = "exhausted"       // all attempts failed
	ClassCrashing      Class = "crashing"        // the document's reader died several times
)

// Classes of attempts and calls.
const (
	ClassTransient Class = "transient" // a later attempt may succeed
	ClassOK        Class = "ok"        // of a call: it brought an answer
	ClassLost      Class = "lost"      // of a call: its worker died during it
)

// DeadClasses lists the classes of dead letters.
func DeadClasses() []Class {
	return []Class{
		ClassInput, ClassInputGone, ClassRefused, ClassBadRequest, ClassOutputTooLong, ClassBadOutput, ClassExhausted, ClassCrashing,
	}
}
