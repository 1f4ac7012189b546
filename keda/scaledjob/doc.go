// Package scaledjob describes the workers' ScaledJob in typed Go.
//
// It owns every setting of KEDA and of the Job that has a technical reason, with that reason.
// The chart's tests compare the chart with it field by field. It refuses to talk to a cluster,
// and the program does not import it. KEDA's types need hundreds of packages, so it is built
// only with the tag chart.
package scaledjob
