package cluster

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Diagnose writes the state of a namespace (objects, events, logs of all pods) into a folder of
// the logs, and returns the most useful part: pods, Jobs and events.
func (c *Cluster) Diagnose(namespace string) string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	folder := filepath.Join(c.Logs(), namespace)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err.Error()
	}
	look := func(name string, args ...string) string {
		text, err := c.Kubectl(ctx, append([]string{"--namespace", namespace}, args...)...)
		if err != nil {
			text = err.Error()
		}
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			text += err.Error()
		}
		return text
	}
	short := look("objects.txt", "get", "pods,jobs,cronjobs,deployments,services,scaledjobs.keda.sh,triggerauthentications.keda.sh", "-o", "wide")
	short += "\n" + look("events.txt", "get", "events", "--sort-by=.lastTimestamp")
	look("objects.yaml", "get", "pods,jobs,cronjobs,deployments,services,endpointslices,configmaps,scaledjobs.keda.sh,triggerauthentications.keda.sh", "-o", "yaml")
	look("describe.txt", "describe", "pods,jobs,cronjobs,scaledjobs.keda.sh")
	for _, pod := range strings.Fields(look("pods.txt", "get", "pods", "-o", "name")) {
		name := strings.TrimPrefix(pod, "pod/")
		look(name+".log", "logs", pod, "--all-containers", "--timestamps")
	}
	short += "\nKEDA's log ends with\n" + grepTail(c.KEDA.log, namespace, 15)
	return short
}

// grepTail returns the last lines of a file that contain a text.
func grepTail(name, text string, lines int) string {
	var kept []string
	for line := range strings.Lines(logTail(name, 5000)) {
		if strings.Contains(line, text) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept[max(0, len(kept)-lines):], "")
}
