//go:build integration

package ledger_test

import (
	"bytes"
	"context"
	"database/sql"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
)

// silenced relays connections to a server. Once a client has sent a text, nothing more from it
// arrives: to the server it looks like a frozen process or a lost machine. It returns the address
// to use; hangUp closes all connections.
func silenced(t *testing.T, server, after string) (address string, hangUp func()) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var relays sync.WaitGroup
	hangUp = func() {
		cancel()
		listener.Close()
		relays.Wait()
	}
	t.Cleanup(hangUp)
	relays.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			relays.Go(func() {
				defer client.Close()
				up, err := net.Dial("tcp", server)
				if err != nil {
					t.Error(err)
					return
				}
				defer up.Close()
				relays.Go(func() { _, _ = io.Copy(client, up) })
				relays.Go(func() { relayUntil(up, client, []byte(after)) })
				<-ctx.Done()
			})
		}
	})
	return listener.Addr().String(), hangUp
}

// relayUntil relays bytes until one side is closed, or until it has relayed last.
func relayUntil(to io.Writer, from io.Reader, last []byte) {
	chunk := make([]byte, 64<<10)
	for {
		n, err := from.Read(chunk)
		if err != nil {
			return
		}
		if _, err := to.Write(chunk[:n]); err != nil || bytes.Contains(chunk[:n], last) {
			return
		}
	}
}

// When a worker falls silent in a transaction that holds locks, its claims are released all the
// same.
func TestPostgresSilentInATransaction(t *testing.T) {
	t.Parallel()
	db := database{url: schemas(t)(t), clock: newClock()}
	f := setUp(t, db)
	run, _ := f.plan(false, entries(2))
	u, err := url.Parse(db.url)
	if err != nil {
		t.Fatal(err)
	}
	// The first statement of a claim locks the worker's lease.
	address, hangUp := silenced(t, u.Host, "FOR SHARE")
	u.Host = address
	query := u.Query()
	query.Set("sslmode", "disable")
	query.Set("application_name", "silent")
	u.RawQuery = query.Encode()
	silent := database{url: u.String(), clock: db.clock}.open(t)
	worker := must(silent.Register(t.Context(), ledger.WorkerProcess{Name: "silent"}))(t)
	claim := make(chan error)
	go func() {
		_, err := silent.Claim(t.Context(), worker, f.partitions(run)[0].ID, 1)
		claim <- err
	}()
	raw, err := sql.Open("pgx", db.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	for locked := false; !locked; {
		f.ok(raw.QueryRow(`SELECT EXISTS (SELECT 1 FROM pg_stat_activity, pg_sleep(0.01)
			WHERE application_name = 'silent' AND state = 'idle in transaction' AND query LIKE '%FOR SHARE%')`).Scan(&locked))
	}
	db.clock.advance(ledger.Lease + time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), ledger.Lease)
	defer cancel()
	f.ok(f.Renew(ctx, f.worker, nil))
	if _, err := f.RecoverLapsed(ctx, dead); err != nil {
		t.Errorf("the claims of the silent worker are not released: %v", err)
	}
	if claimed := f.claimAll(run); len(claimed) != 2 {
		t.Errorf("got %d documents, want both", len(claimed))
	}
	hangUp()
	if err := <-claim; err == nil {
		t.Error("the claim of the silent worker succeeded")
	}
}
