package config

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gistmill/gistmill/internal/certificates"
	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/llm/keys"
)

// This file owns the settings of the connection to the endpoint that need more than one value:
// where the key comes from, the headers, and the files of TLS.

// The headers of the settings organization and project
// (https://platform.openai.com/docs/api-reference/authentication).
const (
	organizationHeader = "OpenAI-Organization"
	projectHeader      = "OpenAI-Project"
)

// HasKey reports whether a setting names a key.
func (c Config) HasKey() bool { return c.APIKey != "" || c.APIKeyFile != "" || c.APIKeyCommand != "" }

// KeyName returns the setting that has the key of the first endpoint, or should have it.
func (c Config) KeyName() string {
	switch {
	case c.APIKeyFile != "":
		return "--api-key-file"
	case c.APIKeyCommand != "":
		return "--api-key-command"
	}
	return "OPENAI_API_KEY"
}

// HasEndpoint reports whether the settings name an endpoint: with a key alone it is OpenAI's.
func (c Config) HasEndpoint() bool { return c.HasKey() || c.BaseURL != "" }

// RequestHeaders returns the further headers of requests to the first endpoint, by their names. The
// values are secrets.
func (c Config) RequestHeaders() map[string]string {
	all, _ := parseHeaders(c.Headers.Reveal()) // was checked
	for name, value := range map[string]string{organizationHeader: c.Organization, projectHeader: c.Project} {
		if value != "" {
			all[name] = value
		}
	}
	return all
}

// Certificates returns the PEM files for the endpoint.
func (c Config) Certificates() certificates.Files {
	return certificates.Files{For: "llm", CA: c.LLMCA, Cert: c.LLMCert, Key: c.LLMKey}
}

// chooseKey leaves one source of the key in the merged values. A variable of other tools
// (OPENAI_API_KEY) yields to a file or a command. Any other two conflict.
func chooseKey(table []Setting, merged map[string]string, source map[string]layer) (problem, warning string) {
	var set []string
	said := func(name string) string { return source[name].name(find(table, name)) }
	for _, name := range []string{"api-key", "api-key-file", "api-key-command"} {
		if merged[name] != "" {
			set = append(set, name)
		}
	}
	if len(set) < 2 {
		return "", ""
	}
	if set[0] == "api-key" && slices.Contains(find(table, "api-key").Aliases, said("api-key")) {
		warning = said("api-key") + " is not used, because " + said(set[1]) + " is set"
		merged["api-key"] = ""
		delete(source, "api-key")
		set = set[1:]
	}
	if len(set) > 1 {
		return fmt.Sprintf("%s and %s both give the API key: set one of them", said(set[0]), said(set[1])), warning
	}
	return "", warning
}

// checkKeys checks each of several keys separated by commas.
func checkKeys(raw string) string {
	for i, key := range strings.Split(raw, ",") {
		if key = strings.TrimSpace(key); key == "" {
			continue
		}
		if why := keys.Check(key); why != "" {
			return fmt.Sprintf("item %d %s", i+1, why)
		}
	}
	return ""
}

// checkHeaders checks the setting headers.
func checkHeaders(raw string) string {
	_, why := parseHeaders(raw)
	return why
}

// parseHeaders parses a JSON object of HTTP headers. The text does not quote a value.
func parseHeaders(raw string) (headers map[string]string, why string) {
	headers = map[string]string{}
	if raw == "" {
		return headers, ""
	}
	var values map[string]jsontext.Value
	if json.Unmarshal([]byte(raw), &values) != nil || values == nil {
		return headers, `is not a JSON object with each header once; example: {"X-Team": "research"}`
	}
	for name, value := range values {
		if why := llm.CheckHeader(name, ""); why != "" {
			if strings.Contains(why, "name that is not") {
				return headers, why
			}
			return headers, "has " + name + ", which " + why
		}
		var text string
		if json.Unmarshal(value, &text) != nil {
			return headers, "has " + name + " with a value that is not text: put it in quotes"
		}
		canonical := http.CanonicalHeaderKey(name)
		if _, twice := headers[canonical]; twice {
			return headers, "has " + name + " twice"
		}
		if why := llm.CheckHeader(name, text); why != "" {
			return headers, "has " + name + ", which " + why
		}
		headers[canonical] = text
	}
	return headers, ""
}

// checkHeaderValue checks the value of a setting that is sent as a header.
func checkHeaderValue(raw string) string { return llm.CheckHeader("X", raw) }

// crossConnection checks what the settings of the connection need of each other.
func (c *Config) crossConnection(uses func(name string) bool) []problem {
	var ps []problem
	if uses("api-key-file") && c.APIKeyFile != "" {
		if _, err := keys.ReadFile(c.APIKeyFile); err != nil {
			ps = append(ps, problem{"api-key-file", "the file " + quote(c.APIKeyFile) + " " + err.Error()})
		}
	}
	headers, _ := parseHeaders(c.Headers.Reveal())
	for name, value := range map[string]string{organizationHeader: c.Organization, projectHeader: c.Project} {
		if _, both := headers[http.CanonicalHeaderKey(name)]; both && value != "" {
			ps = append(ps, problem{"headers", "has " + name + ", which the setting " +
				strings.ToLower(strings.TrimPrefix(name, "OpenAI-")) + " gives too: set one of them"})
		}
	}
	for _, l := range []struct {
		name   string
		limits []int
	}{{"fallback-rpm", c.FallbackRPM}, {"fallback-tpm", c.FallbackTPM}} {
		if len(l.limits) > len(c.Fallbacks) && uses(l.name) {
			ps = append(ps, problem{l.name, fmt.Sprintf("has %d limits for %d fallbacks: give one for each, in the same order, and leave it empty if it is unknown",
				len(l.limits), len(c.Fallbacks))})
		}
	}
	if uses("llm-ca") {
		ps = append(ps, crossTLS(c.Certificates(), "the endpoint", c.BaseURL, strings.HasPrefix(c.BaseURL, "http://"), "https")...)
	}
	return ps
}

// crossTLS checks the names of the files for TLS to a server. plain says that its address is one
// without TLS; secure is the scheme that it should have.
func crossTLS(files certificates.Files, server, address string, plain bool, secure string) []problem {
	var ps []problem
	switch {
	case files.Cert != "" && files.Key == "":
		ps = append(ps, problem{files.For + "-cert", "has no private key: set " + files.For + "-key too"})
	case files.Key != "" && files.Cert == "":
		ps = append(ps, problem{files.For + "-key", "has no certificate: set " + files.For + "-cert too"})
	}
	if !plain {
		return ps
	}
	scheme, _, _ := strings.Cut(address, "://")
	for _, f := range []struct{ name, path string }{{"-ca", files.CA}, {"-cert", files.Cert}, {"-key", files.Key}} {
		if f.path != "" {
			ps = append(ps, problem{files.For + f.name, "requires TLS, but the address of " + server + " begins with " + scheme + "://; use " + secure + "://"})
		}
	}
	return ps
}
