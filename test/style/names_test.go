package style

// retiredNames are names of types, functions, methods, fields, constants and variables of packages
// that are not declared again, each with the one that the project uses.
func retiredNames() map[string]string {
	return map[string]string{
		"freeStrays":  "releaseOrphans",
		"noRoom":      "diskFull",
		"noteFull":    "diskFull",
		"EndWhenFull": "StopOnDiskFull",
		"deaf":        "noopObserver",
		"forNothing":  "startupGrace",
		"grownWithin": "renewalGrace",
		"seenFor":     "livenessWindow",
		"backWithin":  "redeliveryGrace",
		"keepOwn":     "verifyQueueOwner",
		"patiently":   "retryUntil",
		"notThereYet": "IsUnavailable",
		"inPowers":    "chunksOfPowersOfTwo",
		"keepingConn": "cachingConn",
		"keptRows":    "cachedRows",
		"sparing":     "adaptivePool",
		"bury":        "markUnreadable",
		"benchFor":    "cooldown",
		"tongue":      "language",
		"complaint":   "rate.Sometimes",
		"weather":     "faultRun",
	}
}
