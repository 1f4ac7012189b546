// Package tasks is the contract between the processes that enqueue and the workers: the type,
// payload and ids of the partition task, the queue in Redis, and the retry policy.
//
// It owns everything that is written to Redis for the queue. It refuses to own what a task
// means for the ledger.
package tasks

import (
	"encoding/json"
	"fmt"
)

// Type is the asynq type of a partition task.
const Type = "gistmill:partition"

// payloadVersion increases when older workers could not understand the payload.
const payloadVersion = 1

// Partition is the payload of a task. It holds references to the ledger and never text,
// because asynq writes the payload of every active task again at each heartbeat.
type Partition struct {
	Version    int    `json:"v"`
	Run        string `json:"run"`
	RunID      int64  `json:"run_num"`
	ID         int64  `json:"partition"`
	Generation int64  `json:"generation"`
	Profile    string `json:"profile"` // hash
}

// TaskID returns the id of the task. It is made of the partition and its generation, so a
// partition has at most one task of a generation in the queue.
func (p Partition) TaskID() string {
	return fmt.Sprintf("%s:%d:%d", p.Run, p.ID, p.Generation)
}

// Encode returns the payload in the current version.
func (p Partition) Encode() []byte {
	p.Version = payloadVersion
	b, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and integers always encode
	}
	return b
}

// Decode reads a payload. It refuses the payload of a newer program; the task then waits for a
// worker that understands it.
func Decode(payload []byte) (Partition, error) {
	var p Partition
	if err := json.Unmarshal(payload, &p); err != nil {
		return p, fmt.Errorf("decode the task's payload: %w", err)
	}
	switch {
	case p.Version > payloadVersion:
		return p, fmt.Errorf("the task has payload version %d and this worker knows %d: upgrade the workers", p.Version, payloadVersion)
	case p.Version < 1, p.Run == "", p.RunID <= 0, p.ID <= 0, p.Generation <= 0, p.Profile == "":
		return p, fmt.Errorf("the task's payload lacks a field")
	}
	return p, nil
}
