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

// Options are the settings that differ between installations.
type Options struct {
	Name      string
	Namespace string
	// Server is the name of the Service that answers /demand, Port its port.
	Server string
	Port   int
	// Partitions is the number of partitions that one worker holds: the demand that one Job serves.
	Partitions int
	// MaxReplicas limits the number of Jobs at a time.
	MaxReplicas int32
	// PollingInterval is how often KEDA asks, in whole seconds.
	PollingInterval time.Duration
	// Grace is the workers' setting shutdown-grace.
	Grace time.Duration
	// ActiveDeadline ends a Job that hangs. TTL is the time until a finished Job is deleted.
	ActiveDeadline, TTL time.Duration
	// History is the number of succeeded, and of failed, Jobs that KEDA keeps.
	History int32
	// Unreachable is how long a pod stays bound to a node that is gone: 30 to 60 s.
	Unreachable time.Duration
	// Template is the worker's pod. New sets its restart policy, termination grace and
	// tolerations.
	Template corev1.PodTemplateSpec
}

// graceBeyond is the time beyond shutdown-grace in which a pod writes its last outcomes.
const graceBeyond = 20 * time.Second

// New returns the ScaledJob that scales on the server's demand.
//
// At each poll KEDA creates ceil(demand / Partitions) Jobs, at most MaxReplicas, minus the
// Jobs that run (KEDA 2.21, pkg/scaling/executor/scale_jobs.go). This is exact because the
// demand includes the partitions that workers hold.
func New(o Options) *keda.ScaledJob {
	template := *o.Template.DeepCopy()
	template.Spec.RestartPolicy = corev1.RestartPolicyNever // podFailurePolicy requires it
	template.Spec.TerminationGracePeriodSeconds = seconds(o.Grace + graceBeyond)
	template.Spec.Tolerations = Tolerations(o.Unreachable)
	return &keda.ScaledJob{
		TypeMeta:   metav1.TypeMeta{APIVersion: keda.SchemeGroupVersion.String(), Kind: "ScaledJob"},
		ObjectMeta: metav1.ObjectMeta{Name: o.Name, Namespace: o.Namespace},
		Spec: keda.ScaledJobSpec{
			PollingInterval: new(int32(o.PollingInterval / time.Second)),
			MinReplicaCount: new(int32(0)),
			// KEDA's default of 100 can surprise a small cluster.
			MaxReplicaCount: new(o.MaxReplicas),
			// KEDA's default of 100 each hides the Jobs that matter.
			SuccessfulJobsHistoryLimit: new(o.History),
			FailedJobsHistoryLimit:     new(o.History),
			// Unset means immediate, which deletes all running Jobs at every change.
			Rollout: keda.Rollout{Strategy: "gradual"},
			ScalingStrategy: keda.ScalingStrategy{
				// accurate and eager start too many Jobs while pods are slow to start.
				Strategy:                   "default",
				MultipleScalersCalculation: "max",
			},
			Triggers: []keda.ScaleTriggers{{
				// Unlike an external scaler, it has a timeout and reports its failures.
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
				// KEDA replaces a failed Job at the next poll. Without attempts of its own, a
				// pod that cannot start would make a Job every few seconds.
				BackoffLimit:            new(int32(6)),
				ActiveDeadlineSeconds:   seconds(o.ActiveDeadline),
				TTLSecondsAfterFinished: new(int32(o.TTL / time.Second)),
				// A drained node is not the Job's failure. No rule fails the Job at once, for the
				// same reason as the backoff limit.
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

// Tolerations evict a pod from a node that is gone after the given time instead of Kubernetes'
// five minutes. Until then KEDA counts its Job as running.
func Tolerations(after time.Duration) []corev1.Toleration {
	var list []corev1.Toleration
	for _, key := range []string{corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable} {
		list = append(list, corev1.Toleration{
			Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: seconds(after),
		})
	}
	return list
}

// RedisTrigger scales on the length of one key of the queue: pending, active, retry or
// scheduled. KEDA counts the whole list or sorted set, so it cannot tell due retries from
// later ones.
func RedisTrigger(address, queue, state string, partitions int) keda.ScaleTriggers {
	return keda.ScaleTriggers{
		Type: "redis",
		Metadata: map[string]string{
			"address":  address,
			"listName": fmt.Sprintf("asynq:{%s}:%s", queue, state),
			// The same target as the other triggers, because max compares counts.
			"listLength":    strconv.Itoa(partitions),
			"databaseIndex": "0",
			"enableTLS":     "false",
		},
	}
}

func seconds(d time.Duration) *int64 { return new(int64(d / time.Second)) }
