module gistmill.e2e/monitoring

go 1.26.0

// Newer ones are not taken by every module proxy; the kinds are of version v1 since long.
require github.com/prometheus-operator/prometheus-operator v0.85.0
