package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/gistmill/gistmill/internal/config"
)

// The compose file sets only settings, to valid values.
func TestComposeFile(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "compose", "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]any
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	// compose reads ${NAME:-value} as value if NAME is not set.
	variable := regexp.MustCompile(`\$\{[A-Z_]+:-([^}]*)\}`)
	seen := 0
	for name, service := range file["services"].(map[string]any) {
		service := service.(map[string]any)
		if image, _ := service["image"].(string); image != "gistmill:compose" {
			continue
		}
		seen++
		var environ []string
		for k, v := range service["environment"].(map[string]any) {
			environ = append(environ, k+"="+variable.ReplaceAllString(fmt.Sprint(v), "$1"))
		}
		c, err := config.Load(nil, environ, "redis")
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, w := range c.Warnings {
			t.Errorf("%s: %s", name, w)
		}
	}
	if seen != 4 {
		t.Errorf("found %d services of gistmill, want enqueue, worker, server and cli", seen)
	}
}
