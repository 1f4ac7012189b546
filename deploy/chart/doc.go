// Package chart owns the tests of the Helm chart in this folder. They need both Helms, which
// `make chart` builds, and the build tag chart. It has no code to import.
package chart
