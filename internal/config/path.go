package config

import (
	"path/filepath"
	"strings"
)

// resolve returns the value of a setting that names a file or folder, with ~/ replaced by the home
// folder, and the ledger's path in its short form. Shells do not replace a ~ after "sqlite:" or
// "=", in variables of service managers or in files.
func (s Setting) resolve(raw string, env map[string]string) (value, problem string) {
	switch {
	case s.Kind == KindFile, s.Kind == KindPath:
		return expandHome(raw, env)
	case s.Name == "store":
		path, ok := strings.CutPrefix(raw, "sqlite:")
		if !ok {
			return raw, ""
		}
		if strings.HasPrefix(path, "///") { // sqlite:///PATH, the form of other tools
			path = "/" + strings.TrimLeft(path, "/")
		}
		path, problem = expandHome(path, env)
		return "sqlite:" + path, problem
	}
	return raw, ""
}

// expandHome replaces ~ at the beginning of a path by the home folder. Names of other users
// (~name) are left alone.
func expandHome(path string, env map[string]string) (expanded, problem string) {
	if path != "~" && !strings.HasPrefix(path, "~/") {
		return path, ""
	}
	home := env["HOME"]
	if home == "" {
		return path, "begins with ~, but HOME is not set: write the whole path"
	}
	return filepath.Join(home, path[1:]), ""
}
