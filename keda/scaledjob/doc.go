// Package scaledjob owns the ScaledJob of the workers as typed Go: every setting of
// KEDA and of the Job that is not a matter of taste, each with its reason. The
// chart is compared with it field by field. It knows no cluster and starts
// nothing, and the program does not import it. KEDA's types bring hundreds of
// packages, so it is built only with the tag chart, for the chart's tests.
package scaledjob
