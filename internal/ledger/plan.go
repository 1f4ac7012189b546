package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/gistmill/gistmill/internal/ledger/sqldb"
)

// Entry is a document as the source lists it.
type Entry struct {
	URI, Locator, Version string
	Size                  int64 // bytes
	Modified              time.Time
	Problem               string // why it cannot be read: such a document is dead at once
}

// PartitionSize limits the documents and bytes of a partition. A larger document gets a partition
// of its own.
type PartitionSize struct {
	Documents int
	Bytes     int64
}

// PlanCount counts the documents of a listing by what planning found.
type PlanCount struct {
	Listed     int64 // entries, without repeated URIs
	Repeated   int64 // entries whose URI came before in the same listing; the first entry counts
	Pending    int64 // new or changed
	Skipped    int64 // unchanged and done
	Dead       int64 // unchanged and dead, or unreadable
	Unfinished int64 // in the run already: open, or done or dead in the same version
	Bytes      int64 // of the pending ones
}

// Add adds the numbers of another batch.
func (c *PlanCount) Add(o PlanCount) {
	c.Listed += o.Listed
	c.Repeated += o.Repeated
	c.Pending += o.Pending
	c.Skipped += o.Skipped
	c.Dead += o.Dead
	c.Unfinished += o.Unfinished
	c.Bytes += o.Bytes
}

// LockPlan takes or renews the planning lease of a source and profile. It fails with [ErrPlanning]
// while another holder has it. Renew it every [PlanRenew].
func (l *Ledger) LockPlan(ctx context.Context, sourceID SourceID, profileID ProfileID, holder string) error {
	n, err := l.write.Exec(ctx, `INSERT INTO planners (source_id, profile_id, holder, lease_until) VALUES ($1, $2, $3, @now + $4)
		ON CONFLICT (source_id, profile_id) DO UPDATE SET holder = excluded.holder, lease_until = excluded.lease_until
		WHERE planners.holder = excluded.holder OR planners.lease_until < @now`, sourceID, profileID, holder, PlanLease.Milliseconds())
	if err != nil {
		return fmt.Errorf("take the planning lease: %w", err)
	}
	if n == 0 {
		return ErrPlanning
	}
	return nil
}

// PlanLeaseUntil returns the end of the planning lease of a source and profile, in ledger time;
// zero when no process holds it. A live holder extends it again and again.
func (l *Ledger) PlanLeaseUntil(ctx context.Context, sourceID SourceID, profileID ProfileID) (time.Time, error) {
	var until sql.NullInt64
	err := l.read.QueryRow(ctx, `SELECT MAX(lease_until) FROM planners WHERE source_id = $1 AND profile_id = $2`, sourceID, profileID).Scan(&until)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the planning lease: %w", err)
	}
	return sqldb.Time(until), nil
}

// UnlockPlan returns the planning lease, if the holder still has it.
func (l *Ledger) UnlockPlan(ctx context.Context, sourceID SourceID, profileID ProfileID, holder string) error {
	_, err := l.write.Exec(ctx, `DELETE FROM planners WHERE source_id = $1 AND profile_id = $2 AND holder = $3`, sourceID, profileID, holder)
	return err
}

// resultIsCurrent is the SQL condition that a document's result counts for run r: it is of the same
// version, was not redriven, and is not older than the moment the run was forced, confirmed or not.
const resultIsCurrent = `res.version = s.version AND res.state <> 'retry'
	AND (COALESCE(r.force_planned_at, r.forced_at) IS NULL OR res.at >= COALESCE(r.force_planned_at, r.forced_at))`

// notListed is the SQL condition that the current listing of run r has not met a document so far.
// It is a scalar subquery, which the database does not turn into a join: a new run has no
// statistics, and a join would be planned for one row.
func notListed(document string) string {
	return `COALESCE((SELECT x.scan FROM run_documents x WHERE x.run_num = r.num AND x.document_id = ` + document + `), -1) <> r.scan`
}

// Plan adds a batch of a listing to a run, in one transaction. It creates or updates documents,
// skips unchanged ones (a dead letter stays one), and puts the others into partitions that workers
// see after [Ledger.Publish]. holder must hold the planning lease, else Plan fails with
// [ErrPlanning] and writes nothing. pending, if not nil, is called for each new or changed document
// after the commit.
func (l *Ledger) Plan(ctx context.Context, run Run, holder string, entries []Entry, size PartitionSize, pending func(Entry)) (PlanCount, error) {
	entries, repeated := firstOfEach(entries)
	var p planBatch
	err := l.db.BulkTx(ctx, func(tx sqldb.BulkTx) error {
		p = planBatch{Ledger: l, tx: tx, run: run, entries: entries, size: size, count: PlanCount{Repeated: repeated}}
		return p.write(ctx, holder)
	})
	if err != nil {
		return PlanCount{}, fmt.Errorf("plan a batch: %w", err)
	}
	if pending != nil {
		for _, n := range p.work {
			pending(entries[n.ord])
		}
	}
	return p.count, nil
}

// firstOfEach removes entries whose URI came before in the batch.
func firstOfEach(entries []Entry) (kept []Entry, repeated int64) {
	seen := make(map[string]struct{}, len(entries))
	kept = make([]Entry, 0, len(entries))
	for _, e := range entries {
		if _, ok := seen[e.URI]; ok {
			repeated++
			continue
		}
		seen[e.URI] = struct{}{}
		kept = append(kept, e)
	}
	return kept, repeated
}

type planBatch struct {
	*Ledger
	tx      sqldb.BulkTx
	run     Run
	entries []Entry
	size    PartitionSize
	count   PlanCount
	work    []stagedDocument

	alreadyInRun []DocumentID // documents that were in the run before this listing
	unreadable   int64        // documents that cannot be read and are no dead letters yet
}

// stagedDocument is a document of the batch that carryUnchanged left.
type stagedDocument struct {
	ord      int
	document DocumentID
	size     int64
	state    DocumentState // in this run; empty: not in it
}

func (p *planBatch) write(ctx context.Context, holder string) error {
	if err := p.keepLease(ctx, p.tx.Handle, p.run.ID, holder); err != nil {
		return err
	}
	if err := p.stage(ctx); err != nil {
		return err
	}
	if err := p.upsertDocuments(ctx); err != nil {
		return err
	}
	if err := p.carryUnchanged(ctx); err != nil {
		return err
	}
	if p.count.Listed < int64(len(p.entries)) {
		if err := p.addRest(ctx); err != nil {
			return err
		}
	}
	return p.addCounts(ctx, p.tx.Handle, -int64(p.run.ID), Counts{
		{CountDocuments, LabelSkipped}: p.count.Skipped, {CountDocuments, LabelDead}: p.unreadable,
	})
}

// stage loads the entries into a temporary table.
func (p *planBatch) stage(ctx context.Context) error {
	return p.tx.FillTemp(ctx, "stage", `ord BIGINT, uri TEXT, locator TEXT, version TEXT, size BIGINT, modified_at BIGINT, problem TEXT, document_id BIGINT`,
		[]string{"ord", "uri", "locator", "version", "size", "modified_at", "problem"}, len(p.entries), func(i int, row []any) {
			e := p.entries[i]
			row[0], row[1], row[2], row[3], row[4], row[5], row[6] = int64(i), e.URI, e.Locator, e.Version, e.Size, e.Modified.UnixMilli(), e.Problem
		})
}

// keepLease renews the planning lease of a run's source and profile, and locks it until the commit.
// It fails with [ErrPlanning] if the holder has lost it to another planner.
func (l *Ledger) keepLease(ctx context.Context, tx sqldb.Handle, run RunID, holder string) error {
	n, err := tx.Exec(ctx, `UPDATE planners SET lease_until = @now + $1 WHERE holder = $2
		AND (source_id, profile_id) = (SELECT source_id, profile_id FROM runs WHERE num = $3)`, PlanLease.Milliseconds(), holder, run)
	if err == nil && n == 0 {
		err = ErrPlanning
	}
	return err
}

// upsertDocuments writes documents that are new or differ, except entries whose URI came earlier in
// this listing. It puts each document's id into the stage, so that later statements need not look
// it up by URI.
func (p *planBatch) upsertDocuments(ctx context.Context) error {
	if err := p.findDocuments(ctx); err != nil {
		return err
	}
	if _, err := p.tx.Exec(ctx, `INSERT INTO documents (source_id, uri, locator, version, size, modified_at)
		SELECT $1, s.uri, s.locator, s.version, s.size, s.modified_at FROM stage s LEFT JOIN documents d ON d.id = s.document_id
		WHERE d.id IS NULL OR d.version <> s.version OR d.locator <> s.locator OR d.gone_at IS NOT NULL ORDER BY s.ord
		ON CONFLICT (source_id, uri) DO UPDATE SET locator = excluded.locator, version = excluded.version, size = excluded.size,
		modified_at = excluded.modified_at, gone_at = NULL
		WHERE (documents.version <> excluded.version OR documents.locator <> excluded.locator OR documents.gone_at IS NOT NULL)
		AND NOT EXISTS (SELECT 1 FROM run_documents x WHERE x.run_num = $2 AND x.document_id = documents.id AND x.scan = $3)`,
		p.run.SourceID, p.run.ID, p.run.Scan); err != nil {
		return err
	}
	return p.findDocuments(ctx)
}

func (p *planBatch) findDocuments(ctx context.Context) error {
	_, err := p.tx.Exec(ctx, `UPDATE stage SET document_id = (SELECT d.id FROM documents d WHERE d.source_id = $1 AND d.uri = stage.uri)
		WHERE document_id IS NULL`, p.run.SourceID)
	return err
}

// carryUnchanged puts unchanged documents into the run: done ones as skipped, dead ones as dead.
// One statement does it for all, because on most days nearly all documents are unchanged. CROSS
// JOIN keeps SQLite from reading the results first and the stage for each of them.
func (p *planBatch) carryUnchanged(ctx context.Context) error {
	carried, err := p.tx.Exec(ctx, `INSERT INTO run_documents (run_num, document_id, scan, state, attempts)
		SELECT r.num, s.document_id, r.scan, CASE res.state WHEN 'dead' THEN 'dead' ELSE 'skipped' END, res.attempts
		FROM runs r CROSS JOIN stage s CROSS JOIN results res
		WHERE r.num = $1 AND res.document_id = s.document_id AND res.profile_id = $2
		AND `+resultIsCurrent+` ON CONFLICT (run_num, document_id) DO NOTHING`, p.run.ID, p.run.ProfileID)
	if err != nil {
		return err
	}
	dead, err := p.tx.Exec(ctx, `UPDATE results SET run_num = $1 WHERE state = 'dead' AND run_num <> $2 AND profile_id = $3
		AND (SELECT x.state FROM run_documents x WHERE x.run_num = $4 AND x.document_id = results.document_id) = 'dead'`,
		p.run.ID, p.run.ID, p.run.ProfileID, p.run.ID)
	if err != nil {
		return err
	}
	p.count.Listed += carried
	p.count.Dead += dead
	p.count.Skipped += carried - dead
	return nil
}

// addRest adds documents that are new to the run, and makes those pending that have changed.
func (p *planBatch) addRest(ctx context.Context) error {
	fresh, again, err := p.classifyStaged(ctx)
	if err != nil {
		return err
	}
	if p.unreadable > 0 {
		if err := p.markUnreadable(ctx); err != nil {
			return err
		}
	}
	if err := p.markListed(ctx); err != nil {
		return err
	}
	p.work = append(append(p.work, fresh...), again...)
	partitions, err := p.addPartitions(ctx, p.tx.Handle, p.run.ID, partitionPlanned, p.size, p.work)
	if err != nil {
		return err
	}
	if err := p.tx.Insert(ctx, "run_documents", []string{"run_num", "document_id", "scan", "state", "partition_id"}, len(fresh), func(i int, row []any) {
		row[0], row[1], row[2], row[3], row[4] = int64(p.run.ID), int64(fresh[i].document), p.run.Scan, string(DocumentPending), int64(partitions[i])
	}); err != nil {
		return err
	}
	for i, n := range again {
		if _, err := p.tx.Exec(ctx, `UPDATE run_documents SET state = 'pending', partition_id = $1, tries = 0, refusals = 0, refused_call = NULL, due_at = 0, worker_id = NULL
			WHERE run_num = $2 AND document_id = $3`, partitions[len(fresh)+i], p.run.ID, n.document); err != nil {
			return err
		}
	}
	p.count.Pending += int64(len(p.work))
	for _, n := range p.work {
		p.count.Bytes += n.size
	}
	return nil
}

// classifyStaged reads the documents that carryUnchanged left. fresh are new to the run; again are
// in it and must be done again. It only counts those that cannot be read, for markUnreadable.
func (p *planBatch) classifyStaged(ctx context.Context) (fresh, again []stagedDocument, err error) {
	rows, err := p.tx.Query(ctx, `SELECT s.ord, s.document_id, s.size,
		COALESCE((SELECT x.state FROM run_documents x WHERE x.run_num = r.num AND x.document_id = s.document_id), ''),
		CASE WHEN `+resultIsCurrent+` THEN 1 ELSE 0 END
		FROM runs r CROSS JOIN stage s LEFT JOIN results res ON res.document_id = s.document_id AND res.profile_id = $1
		WHERE r.num = $2 AND `+notListed("s.document_id")+` ORDER BY s.ord`, p.run.ProfileID, p.run.ID)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	p.count.Repeated += int64(len(p.entries)) - p.count.Listed
	for rows.Next() {
		var n stagedDocument
		var current bool
		if err := rows.Scan(&n.ord, &n.document, &n.size, &n.state, &current); err != nil {
			return nil, nil, err
		}
		p.count.Listed++
		p.count.Repeated--
		if n.state != "" {
			p.alreadyInRun = append(p.alreadyInRun, n.document)
		}
		switch {
		case p.entries[n.ord].Problem != "" && !current:
			p.unreadable++
			p.count.Dead++
		case n.state == "":
			fresh = append(fresh, n)
		case n.state == DocumentPending, n.state == DocumentClaimed, current:
			p.count.Unfinished++
		default:
			again = append(again, n)
		}
	}
	return fresh, again, rows.Err()
}

// markListed records that documents of the run are still in the source. Workers book outcomes of
// the same documents meanwhile: both lock the rows in the order of the documents. The lock is a
// statement of its own: as a subquery of the UPDATE, PostgreSQL joined it by nested loops, which
// took seconds for 20,000 documents.
func (p *planBatch) markListed(ctx context.Context) error {
	slices.Sort(p.alreadyInRun)
	for some := range slices.Chunk(p.alreadyInRun, 1000) {
		args := []any{p.run.Scan, p.run.ID}
		for _, document := range some {
			args = append(args, document)
		}
		if lock := p.db.RowLock(); lock != "" {
			if _, err := p.tx.Exec(ctx, `SELECT 1 FROM run_documents WHERE run_num = $1 AND document_id IN (`+sqldb.Placeholders(2, len(some))+`)
				ORDER BY document_id `+lock, args[1:]...); err != nil {
				return err
			}
		}
		if _, err := p.tx.Exec(ctx, `UPDATE run_documents SET scan = $1 WHERE run_num = $2 AND document_id IN (`+sqldb.Placeholders(3, len(some))+`)`, args...); err != nil {
			return err
		}
	}
	return nil
}

// markUnreadable makes documents of the batch dead that cannot be read.
func (p *planBatch) markUnreadable(ctx context.Context) error {
	if _, err := p.tx.Exec(ctx, `INSERT INTO results (document_id, profile_id, run_num, version, state, class, message, at)
		SELECT s.document_id, r.profile_id, r.num, s.version, 'dead', 'input', s.problem, @now
		FROM runs r CROSS JOIN stage s WHERE r.num = $1 AND s.problem <> '' AND `+notListed("s.document_id")+`
		ON CONFLICT (document_id, profile_id) DO UPDATE SET run_num = excluded.run_num, version = excluded.version, state = 'dead',
		summary = NULL, content_sha256 = '', class = 'input', message = excluded.message, at = excluded.at`, p.run.ID); err != nil {
		return err
	}
	_, err := p.tx.Exec(ctx, `INSERT INTO run_documents (run_num, document_id, scan, state)
		SELECT r.num, s.document_id, r.scan, 'dead' FROM runs r CROSS JOIN stage s WHERE r.num = $1 AND s.problem <> ''
		ON CONFLICT (run_num, document_id) DO UPDATE SET state = 'dead', scan = excluded.scan, worker_id = NULL, partition_id = NULL
		WHERE run_documents.scan <> excluded.scan`, p.run.ID)
	return err
}

// addPartitions cuts documents, in their order, into partitions limited by count and bytes. It
// returns the partition of each document.
func (l *Ledger) addPartitions(ctx context.Context, tx sqldb.Handle, run RunID, state partitionState, size PartitionSize, work []stagedDocument) ([]PartitionID, error) {
	type partition struct{ documents, bytes int64 }
	type numbered struct {
		id  PartitionID
		seq int64
	}
	var all []partition
	of := make([]int, len(work))
	for i, n := range work {
		last := len(all) - 1
		if last < 0 || all[last].documents >= int64(size.Documents) || all[last].bytes+n.size > size.Bytes {
			all = append(all, partition{})
			last++
		}
		all[last].documents++
		all[last].bytes += n.size
		of[i] = last
	}
	ids := make([]PartitionID, len(all))
	for start := 0; start < len(all); start += partitionRows {
		end := min(start+partitionRows, len(all))
		var args []any
		for i := start; i < end; i++ {
			args = append(args, run, i, string(state), all[i].documents, all[i].bytes)
		}
		rows, err := sqldb.Collect(ctx, tx, func(rows *sql.Rows) (r numbered, err error) { return r, rows.Scan(&r.id, &r.seq) },
			`INSERT INTO partitions (run_num, seq, state, documents, bytes) VALUES `+sqldb.Rows(1, end-start, 5)+` RETURNING id, seq`, args...)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			ids[r.seq] = r.id
		}
	}
	partitions := make([]PartitionID, len(work))
	for i, n := range of {
		partitions[i] = ids[n]
	}
	return partitions, nil
}

// partitionRows is the number of partitions in one INSERT.
const partitionRows = 500

// repartition moves pending documents of a run into new partitions.
func (l *Ledger) repartition(ctx context.Context, tx sqldb.Handle, run RunID, state partitionState, size PartitionSize, work []stagedDocument) error {
	partitions, err := l.addPartitions(ctx, tx, run, state, size, work)
	if err != nil {
		return err
	}
	documents := map[PartitionID][]any{}
	for i, n := range work {
		documents[partitions[i]] = append(documents[partitions[i]], n.document)
	}
	for _, partition := range slices.Sorted(maps.Keys(documents)) {
		ids := documents[partition]
		if _, err := tx.Exec(ctx, `UPDATE run_documents SET partition_id = $1 WHERE run_num = $2 AND state = 'pending' AND document_id IN (`+
			sqldb.Placeholders(3, len(ids))+`)`, append([]any{partition, run}, ids...)...); err != nil {
			return err
		}
	}
	return nil
}

// MarkGone marks the documents that a full listing did not meet as gone, and returns their number.
// match selects among them, because the listing may have had filters. Summaries are kept. listed is
// the number of documents that the listing met: when the source has no more, MarkGone does not look
// for any.
func (l *Ledger) MarkGone(ctx context.Context, run Run, listed int64, match func(uri string, modified time.Time) bool) (int64, error) {
	var after DocumentID
	var total, known int64
	if err := l.read.QueryRow(ctx, `SELECT COUNT(*) FROM documents WHERE source_id = $1 AND gone_at IS NULL`, run.SourceID).Scan(&known); err != nil {
		return 0, fmt.Errorf("count the source's documents: %w", err)
	}
	if known == listed {
		return 0, nil
	}
	for {
		type missing struct {
			id       DocumentID
			modified int64
			uri      string
		}
		batch, err := sqldb.Collect(ctx, l.read, func(rows *sql.Rows) (m missing, err error) { return m, rows.Scan(&m.id, &m.uri, &m.modified) },
			`SELECT d.id, d.uri, d.modified_at FROM documents d JOIN runs r ON r.num = $1 WHERE d.source_id = $2 AND d.id > $3 AND d.gone_at IS NULL
			AND `+notListed("d.id")+` ORDER BY d.id LIMIT 1000`, run.ID, run.SourceID, after)
		if err != nil {
			return total, fmt.Errorf("find documents that are gone: %w", err)
		}
		if len(batch) == 0 {
			return total, nil
		}
		after = batch[len(batch)-1].id
		var gone []any
		for _, m := range batch {
			if match(m.uri, time.UnixMilli(m.modified)) {
				gone = append(gone, m.id)
			}
		}
		if len(gone) == 0 {
			continue
		}
		n, err := l.write.Exec(ctx, `UPDATE documents SET gone_at = @now WHERE id IN (`+sqldb.Placeholders(1, len(gone))+`)`, gone...)
		if err != nil {
			return total, fmt.Errorf("mark documents gone: %w", err)
		}
		total += n
	}
}

// RecordPlan notes that a plan of a source succeeded: its run is published and its tasks are in the
// queue.
func (l *Ledger) RecordPlan(ctx context.Context, source SourceID) error {
	if _, err := l.write.Exec(ctx, `UPDATE sources SET planned_at = @now WHERE id = $1`, source); err != nil {
		return fmt.Errorf("record the plan: %w", err)
	}
	return nil
}

// Partition is a fixed group of documents of one run. The queue has one task for it.
type Partition struct {
	ID               PartitionID
	Run              RunID
	Generation       int64
	Documents, Bytes int64
}

// OpenPartitions streams the open partitions of a run, in the order of their ids, in pages of at
// most 1,000. There are none when the run is not running. An error of each ends the stream and is
// returned.
func (l *Ledger) OpenPartitions(ctx context.Context, run RunID, each func([]Partition) error) error {
	return l.partitions(ctx, run, ` AND r.state = 'running'`, each)
}

// ReadyPartitions is [Ledger.OpenPartitions] for a run in any state.
func (l *Ledger) ReadyPartitions(ctx context.Context, run RunID, each func([]Partition) error) error {
	return l.partitions(ctx, run, ``, each)
}

func (l *Ledger) partitions(ctx context.Context, run RunID, and string, each func([]Partition) error) error {
	var after PartitionID
	for {
		page, err := sqldb.Collect(ctx, l.read, scanPartition, `SELECT p.id, p.run_num, p.generation, p.documents, p.bytes FROM partitions p
			JOIN runs r ON r.num = p.run_num WHERE p.run_num = $1 AND p.state = 'ready' AND p.id > $2`+and+` ORDER BY p.id LIMIT 1000`, run, after)
		if err != nil {
			return fmt.Errorf("list open partitions: %w", err)
		}
		if len(page) == 0 {
			return nil
		}
		if err := each(page); err != nil {
			return err
		}
		after = page[len(page)-1].ID
	}
}

func scanPartition(rows *sql.Rows) (p Partition, err error) {
	return p, rows.Scan(&p.ID, &p.Run, &p.Generation, &p.Documents, &p.Bytes)
}

// NextGeneration raises a partition's generation, if it is still from, and returns the current one.
// A new generation gives the partition a new task id, where an ended task still has the old one. It
// fails with [ErrNotFound] when there is no such partition.
func (l *Ledger) NextGeneration(ctx context.Context, partition PartitionID, from int64) (int64, error) {
	if _, err := l.write.Exec(ctx, `UPDATE partitions SET generation = generation + 1 WHERE id = $1 AND generation = $2`, partition, from); err != nil {
		return 0, fmt.Errorf("raise the generation: %w", err)
	}
	var generation int64
	err := l.read.QueryRow(ctx, `SELECT generation FROM partitions WHERE id = $1`, partition).Scan(&generation)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	return generation, err
}
