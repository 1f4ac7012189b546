//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// scaledJobLabel is a label of KEDA's Jobs.
const scaledJobLabel = "scaledjob.keda.sh/name"

// record holds every Job and pod that was ever created in a namespace, also deleted ones. It is
// safe for concurrent use.
type record struct {
	mu   sync.Mutex
	jobs map[types.UID]*jobRecord
	pods map[types.UID]*podRecord
}

type jobRecord struct {
	batchv1.Job // as it was last seen
	Seen        time.Time
	Deleted     bool
}

type podRecord struct {
	corev1.Pod
	Seen, Running time.Time // when it was first seen, and first seen running
	Deleted       bool
}

func newRecord(t *testing.T, namespace string) *record {
	t.Helper()
	r := &record{jobs: map[types.UID]*jobRecord{}, pods: map[types.UID]*podRecord{}}
	factory := informers.NewSharedInformerFactoryWithOptions(shared.client, 0, informers.WithNamespace(namespace))
	add := func(informer cache.SharedIndexInformer, seen func(object any, deleted bool)) {
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(object any) { seen(object, false) },
			UpdateFunc: func(_, object any) { seen(object, false) },
			DeleteFunc: func(object any) {
				if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
					object = last.Obj
				}
				seen(object, true)
			},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	add(factory.Batch().V1().Jobs().Informer(), r.job)
	add(factory.Core().V1().Pods().Informer(), r.pod)
	stop := make(chan struct{})
	factory.Start(stop)
	t.Cleanup(func() {
		close(stop)
		factory.Shutdown()
	})
	factory.WaitForCacheSync(stop)
	return r
}

func (r *record) job(object any, deleted bool) {
	job, ok := object.(*batchv1.Job)
	if !ok {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.jobs[job.UID]
	if known == nil {
		known = &jobRecord{Seen: time.Now()}
		r.jobs[job.UID] = known
	}
	known.Job, known.Deleted = *job, deleted
}

func (r *record) pod(object any, deleted bool) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.pods[pod.UID]
	if known == nil {
		known = &podRecord{Seen: time.Now()}
		r.pods[pod.UID] = known
	}
	if pod.Status.Phase == corev1.PodRunning && known.Running.IsZero() {
		known.Running = time.Now()
	}
	known.Pod, known.Deleted = *pod, deleted
}

// workers returns KEDA's Jobs, oldest first.
func (r *record) workers() []jobRecord {
	return r.jobsThat(func(j *jobRecord) bool { return j.Labels[scaledJobLabel] != "" })
}

// enqueues returns the other Jobs, oldest first.
func (r *record) enqueues() []jobRecord {
	return r.jobsThat(func(j *jobRecord) bool { return j.Labels[scaledJobLabel] == "" })
}

func (r *record) jobsThat(matches func(*jobRecord) bool) []jobRecord {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []jobRecord
	for _, job := range r.jobs {
		if matches(job) {
			all = append(all, *job)
		}
	}
	slices.SortFunc(all, func(a, b jobRecord) int { return a.Seen.Compare(b.Seen) })
	return all
}

// podsOf returns all pods that a Job ever had.
func (r *record) podsOf(job jobRecord) []podRecord {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []podRecord
	for _, pod := range slices.SortedFunc(maps.Values(r.pods), func(a, b *podRecord) int { return a.Seen.Compare(b.Seen) }) {
		if pod.Labels[batchv1.JobNameLabel] == job.Name {
			all = append(all, *pod)
		}
	}
	return all
}

// ended reports whether a Job is complete or failed, and which: "" while it is neither.
func (j jobRecord) ended() batchv1.JobConditionType {
	for _, condition := range j.Status.Conditions {
		if condition.Status == corev1.ConditionTrue && (condition.Type == batchv1.JobComplete || condition.Type == batchv1.JobFailed) {
			return condition.Type
		}
	}
	return ""
}

// exitCode returns the exit code of a pod's container, and whether it has ended.
func (p podRecord) exitCode() (code int32, ended bool) {
	for _, status := range p.Status.ContainerStatuses {
		if status.State.Terminated != nil {
			return status.State.Terminated.ExitCode, true
		}
	}
	return 0, false
}

// awaitAll waits until all of the Jobs have ended, and checks that none has failed.
func (s *site) awaitComplete(jobs func() []jobRecord) {
	s.t.Helper()
	await(s.t, "the end of all Jobs", patience, func() error {
		var left []string
		for _, job := range jobs() {
			if job.ended() == "" && !job.Deleted {
				left = append(left, job.Name)
			}
		}
		if len(left) > 0 {
			return fmt.Errorf("%s not ended", strings.Join(left, ", "))
		}
		return nil
	})
	for _, job := range jobs() {
		if job.ended() == batchv1.JobFailed {
			s.t.Errorf("Job %s failed: %+v", job.Name, job.Status.Conditions)
		}
	}
}

// idle counts the pods of workers that made no call.
func (s *site) idle() (names []string) {
	s.t.Helper()
	for _, job := range s.record.workers() {
		for _, pod := range s.record.podsOf(job) {
			if s.count(`SELECT count(*) FROM calls JOIN workers ON workers.id = calls.worker_id WHERE workers.name LIKE $1`, pod.Name+"/%") == 0 {
				names = append(names, pod.Name)
			}
		}
	}
	return names
}
