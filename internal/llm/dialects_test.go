package llm

import (
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// recorded is how one endpoint answers: a file of testdata explains the rows.
type recorded struct {
	Endpoint   string `yaml:"endpoint"`
	Model      string `yaml:"model"`
	APIVersion string `yaml:"api_version"` // of Azure
	Path       string `yaml:"path"`        // that is called; empty: any
	Rows       map[string]recordedRow
	Also       []recordedRow `yaml:"also"`
}

// UnmarshalYAML reads the rows beside the other fields.
func (r *recorded) UnmarshalYAML(node *yaml.Node) error {
	type fields recorded
	if err := node.Decode((*fields)(r)); err != nil {
		return err
	}
	r.Rows = map[string]recordedRow{}
	for i := 0; i < len(node.Content); i += 2 {
		if name := node.Content[i].Value; slices.Contains(recordedRows, name) {
			var row recordedRow
			if err := node.Content[i+1].Decode(&row); err != nil {
				return err
			}
			r.Rows[name] = row
		}
	}
	return nil
}

type recordedRow struct {
	Row     string            `yaml:"row"`
	None    string            `yaml:"none"` // why there is no such row
	Source  string            `yaml:"source"`
	Prompt  int               `yaml:"prompt"` // tokens, about
	Closed  bool              `yaml:"closed"` // nothing listens
	Status  int               `yaml:"status"`
	Headers map[string]string `yaml:"headers"`
	Body    string            `yaml:"body"`
	Want    recordedWant      `yaml:"want"`
}

// recordedWant is the error of a row, or its answer if it has no class.
type recordedWant struct {
	Class   Class         `yaml:"class"`
	Code    string        `yaml:"code"`
	Message string        `yaml:"message"`
	After   time.Duration `yaml:"after"`
	Quota   string        `yaml:"quota"`
	Finish  string        `yaml:"finish"`
	Content string        `yaml:"content"`
	In      int           `yaml:"in"`
	Out     int           `yaml:"out"`
	Cached  int           `yaml:"cached"`
}

var (
	recordedRows      = []string{"success", "limit", "long", "filter", "key", "loading"}
	recordedEndpoints = []string{
		"OpenAI", "Azure", "Gemini", "Anthropic-compatible", "Mistral", "DeepSeek", "Groq", "OpenRouter", "Together",
		"vLLM", "Ollama", "llama.cpp", "LM Studio", "TGI", "SGLang", "LiteLLM",
	}
)

// TestRecordedDialects calls endpoints that answer as known ones do.
func TestRecordedDialects(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("testdata/dialects.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all []recorded
	if err := yaml.Unmarshal(file, &all); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range all {
		names = append(names, e.Endpoint)
		for _, name := range recordedRows {
			row, ok := e.Rows[name]
			switch {
			case !ok:
				t.Errorf("%s has no row %s", e.Endpoint, name)
			case row.None == "":
				t.Run(e.Endpoint+"/"+name, func(t *testing.T) {
					t.Parallel()
					row.check(t, e)
				})
			}
		}
		for _, row := range e.Also {
			t.Run(e.Endpoint+"/"+row.Row, func(t *testing.T) {
				t.Parallel()
				row.check(t, e)
			})
		}
	}
	if !slices.Equal(names, recordedEndpoints) {
		t.Errorf("endpoints %q, want %q", names, recordedEndpoints)
	}
}

func (row recordedRow) check(t *testing.T, e recorded) {
	t.Helper()
	if row.Source == "" {
		t.Error("no source")
	}
	path := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path = r.URL.RequestURI()
		w.Header().Set("Content-Type", "application/json")
		for name, value := range row.Headers {
			w.Header().Set(name, value)
		}
		w.WriteHeader(max(row.Status, http.StatusOK))
		_, _ = w.Write([]byte(row.Body))
	}))
	defer server.Close()
	if row.Closed {
		server.Close()
	}
	// As with a fallback, so that it waits for no quota.
	c, err := New(Config{BaseURL: server.URL, APIKey: "a-key", APIVersion: e.APIVersion, CallWait: -1, FailWhenDown: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := testRequest("The harbour was rebuilt after the storm. " + strings.Repeat("harbour ", row.Prompt))
	r.Model = e.Model
	got, err := c.Complete(t.Context(), r)
	if e.Path != "" && path != e.Path {
		t.Errorf("called %s, want %s", path, e.Path)
	}
	want, usage := row.Want, got.Usage
	if want.Class == "" {
		if err != nil {
			t.Fatal(err)
		}
		if got.Content != want.Content || got.FinishReason != want.Finish {
			t.Errorf("%q, %s; want %q, %s", got.Content, got.FinishReason, want.Content, want.Finish)
		}
	} else {
		failed := wantError(t, err)
		usage = failed.Usage
		if failed.Class != want.Class || want.Code != "" && failed.Code != want.Code || (failed.RetryAfter != want.After && (want.After != 0 || want.Quota == "")) || failed.Quota != want.Quota && want.Quota != "" ||
			!strings.Contains(failed.Message, want.Message) {
			t.Errorf("class %s, code %q, wait %s, quota %q: %s\nwant %+v", failed.Class, failed.Code, failed.RetryAfter, failed.Quota, failed, want)
		}
	}
	if usage.In != want.In || usage.Out != want.Out || usage.CachedIn != want.Cached {
		t.Errorf("usage %+v, want %+v", usage, want)
	}
}
