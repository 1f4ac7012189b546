//go:build chart

package scaledjob

import (
	"fmt"
	"strconv"
	"time"

	keda "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Options are what may differ from one installation to another.
type Options struct {
	Name      string
	Namespace string
	// Server is the name of the Service that answers /demand, Port its port.
	Server string
	Port   int
	// Partitions is how many a worker works on at once: the demand that one Job serves.
	Partitions int
	// MaxReplicas is the largest number of Jobs at a time.
	MaxReplicas int32
	// PollingInterval is how often KEDA asks, in whole seconds.
	PollingInterval time.Duration
	// Grace is the workers' shutdown-grace.
	Grace time.Duration
	// ActiveDeadline ends a Job that hangs, TTL deletes one that has ended.
	ActiveDeadline, TTL time.Duration
	// History is how many ended Jobs are kept, of either kind.
	History int32
	// Unreachable is how long a pod is waited for when its node is gone: 30 to 60 s.
	Unreachable time.Duration
	// Template is the worker's pod. What the Job needs of it is set here: restart
	// policy, termination grace, tolerations.
	Template corev1.PodTemplateSpec
}

// graceBeyond is what a pod gets above shutdown-grace, to write its last outcomes.
const graceBeyond = 20 * time.Second

// New gives the ScaledJob that scales on the server's demand.
//
// New Jobs a poll are ceil(demand / Partitions), at most MaxReplicas, less the Jobs
// that run (KEDA 2.21, pkg/scaling/executor/scale_jobs.go); this is exact for a
// demand that counts what is worked on.
func New(o Options) *keda.ScaledJob {
	template := *o.Template.DeepCopy()
	template.Spec.RestartPolicy = corev1.RestartPolicyNever // podFailurePolicy asks for it
	template.Spec.TerminationGracePeriodSeconds = seconds(o.Grace + graceBeyond)
	template.Spec.Tolerations = Tolerations(o.Unreachable)
	return &keda.ScaledJob{
		TypeMeta:   metav1.TypeMeta{APIVersion: keda.SchemeGroupVersion.String(), Kind: "ScaledJob"},
		ObjectMeta: metav1.ObjectMeta{Name: o.Name, Namespace: o.Namespace},
		Spec: keda.ScaledJobSpec{
			PollingInterval: new(int32(o.PollingInterval / time.Second)),
			MinReplicaCount: new(int32(0)),
			// KEDA's default of 100 would be somebody's surprise.
			MaxReplicaCount: new(o.MaxReplicas),
			// The default of 100 each is much to look through.
			SuccessfulJobsHistoryLimit: new(o.History),
			FailedJobsHistoryLimit:     new(o.History),
			// Unset means immediate, which deletes every running Job at any change.
			Rollout: keda.Rollout{Strategy: "gradual"},
			ScalingStrategy: keda.ScalingStrategy{
				// accurate starts too many while pods are slow to start, eager more so.
				Strategy:                   "default",
				MultipleScalersCalculation: "max",
			},
			Triggers: []keda.ScaleTriggers{{
				// It has a timeout and its failures are seen, which an external scaler has not.
				Type: "metrics-api",
				Metadata: map[string]string{
					"url":           fmt.Sprintf("http://%s.%s.svc:%d/demand", o.Server, o.Namespace, o.Port),
					"valueLocation": "demand",
					"targetValue":   strconv.Itoa(o.Partitions),
				},
			}},
			JobTargetRef: &batchv1.JobSpec{
				Parallelism: new(int32(1)),
				Completions: new(int32(1)),
				// A Job that failed is replaced at the next poll: without attempts of its own
				// a pod that cannot start makes a Job every few seconds.
				BackoffLimit:            new(int32(6)),
				ActiveDeadlineSeconds:   seconds(o.ActiveDeadline),
				TTLSecondsAfterFinished: new(int32(o.TTL / time.Second)),
				// A drained node is nobody's failure. No rule fails the Job at once, for the same
				// reason as the backoff limit.
				PodFailurePolicy: &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
					Action: batchv1.PodFailurePolicyActionIgnore,
					OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{
						{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue},
					},
				}}},
				Template: template,
			},
		},
	}
}

// Tolerations give up a pod on a node that is gone after so long, instead of
// Kubernetes' five minutes: KEDA counts its Job as one that works.
func Tolerations(after time.Duration) []corev1.Toleration {
	var list []corev1.Toleration
	for _, key := range []string{corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable} {
		list = append(list, corev1.Toleration{
			Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: seconds(after),
		})
	}
	return list
}

// RedisTrigger scales on the length of one key of the queue: pending, active,
// retry or scheduled. KEDA counts a whole list or sorted set, so it cannot tell
// retries that are due from later ones.
func RedisTrigger(address, queue, state string, partitions int) keda.ScaleTriggers {
	return keda.ScaleTriggers{
		Type: "redis",
		Metadata: map[string]string{
			"address":       address,
			"listName":      fmt.Sprintf("asynq:{%s}:%s", queue, state),
			"listLength":    strconv.Itoa(partitions), // the target of every other trigger: max compares counts
			"databaseIndex": "0",
			"enableTLS":     "false",
		},
	}
}

func seconds(d time.Duration) *int64 { return new(int64(d / time.Second)) }
