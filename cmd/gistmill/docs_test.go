package main

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gistmill/gistmill/internal/config"
	"github.com/gistmill/gistmill/internal/telemetry"
)

// repository is the root of the repository, relative to this package.
const repository = "../.."

var update = flag.Bool("update", false, "rewrite the generated tables in docs/")

// TestGeneratedTables compares the tables in docs/ with the settings and metrics of the
// program. With -update it rewrites them.
func TestGeneratedTables(t *testing.T) {
	t.Parallel()
	for _, table := range []struct{ file, name, want string }{
		{"docs/reference.md", "settings", config.Markdown()},
		{"docs/monitoring.md", "server metrics", telemetry.ServerMarkdown()},
		{"docs/monitoring.md", "worker metrics", telemetry.WorkerMarkdown()},
	} {
		path := filepath.Join(repository, table.file)
		text := readFile(t, path)
		begin := "<!-- generated: " + table.name + " -->\n"
		before, rest, ok := strings.Cut(text, begin)
		got, after, closed := strings.Cut(rest, "<!-- end -->\n")
		if !ok || !closed {
			t.Errorf("%s has no section %q that ends with <!-- end -->", table.file, strings.TrimSpace(begin))
			continue
		}
		if got == table.want {
			continue
		}
		if !*update {
			t.Errorf("%s: the table of %s differs from the program; run: make docs", table.file, table.name)
			continue
		}
		if err := os.WriteFile(path, []byte(before+begin+table.want+"<!-- end -->\n"+after), 0o600); err != nil {
			t.Error(err)
		}
	}
}

// TestExitCodesDocumented requires a row for each exit code in docs/reference.md.
func TestExitCodesDocumented(t *testing.T) {
	t.Parallel()
	text := readFile(t, filepath.Join(repository, "docs/reference.md"))
	for _, code := range []int{exitOK, exitFailed, exitUsage, exitDead, exitPlanning, exitBudget, exitInterrupted} {
		if !strings.Contains(text, fmt.Sprintf("\n| %d | ", code)) {
			t.Errorf("docs/reference.md does not explain exit code %d", code)
		}
	}
}

// TestSecurityNamesTests requires that every test and script named in SECURITY.md exists.
func TestSecurityNamesTests(t *testing.T) {
	t.Parallel()
	text := readFile(t, filepath.Join(repository, "SECURITY.md"))
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)(?:/([a-z]+))?`").FindAllStringSubmatch(text, -1)
	if len(named) < 20 {
		t.Errorf("SECURITY.md names %d tests", len(named))
	}
	code := goSource(t, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
	for _, name := range named {
		if !strings.Contains(code, "\nfunc "+name[1]+"(") {
			t.Errorf("SECURITY.md names %s, which is no test", name[1])
		}
		if name[2] != "" {
			if _, err := os.Stat(filepath.Join("testdata", name[2]+".txtar")); err != nil {
				t.Errorf("SECURITY.md names the script %s: %v", name[2], err)
			}
		}
	}
}

// linkedDocuments are the Markdown files whose relative links must resolve: all but sample
// documents and test data.
func linkedDocuments(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, root := range []string{".", "docs", "deploy", "test", "examples", ".github"} {
		top := filepath.Join(repository, root)
		err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && path != top && (root == "." || d.Name() == "testdata" || path == filepath.Join(repository, "examples/documents")):
				return filepath.SkipDir
			case !d.IsDir() && filepath.Ext(path) == ".md":
				files = append(files, path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

var (
	markdownLink = regexp.MustCompile(`!?\[[^\]]*\]\(([^)\s]+)\)|(?:src|srcset|href)="([^"]+)"`)
	codeFence    = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	codeSpan     = regexp.MustCompile("`[^`\n]*`")
	heading      = regexp.MustCompile(`(?m)^#{1,6} +(.*?) *#*$`)
	notInAnchor  = regexp.MustCompile(`[^\p{L}\p{N}\p{M} _-]`)
)

// TestLinks requires that every relative link of the documents leads to a file or folder of the
// repository and, with a #fragment, to a heading of it.
func TestLinks(t *testing.T) {
	t.Parallel()
	files := linkedDocuments(t)
	if len(files) < 30 {
		t.Errorf("only %d documents found", len(files))
	}
	for _, file := range files {
		text := codeSpan.ReplaceAllString(codeFence.ReplaceAllString(readFile(t, file), ""), "")
		for _, match := range markdownLink.FindAllStringSubmatch(text, -1) {
			link := match[1] + match[2]
			if strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:") {
				continue
			}
			path, fragment, _ := strings.Cut(link, "#")
			target := file
			if path != "" {
				target = filepath.Join(filepath.Dir(file), path)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %s leads nowhere: %v", file, link, err)
				continue
			}
			if fragment != "" && !anchors(readFile(t, target))[fragment] {
				t.Errorf("%s: %s has no such heading", file, link)
			}
		}
	}
}

// anchors are the fragments that GitHub makes of a document's headings.
func anchors(text string) map[string]bool {
	found := map[string]bool{}
	for _, match := range heading.FindAllStringSubmatch(codeFence.ReplaceAllString(text, ""), -1) {
		anchor := strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(match[1]), ""), " ", "-")
		for n, unique := 1, anchor; ; n++ {
			if !found[unique] {
				found[unique] = true
				break
			}
			unique = fmt.Sprintf("%s-%d", anchor, n)
		}
	}
	return found
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// goSource returns all Go files of the repository for which want holds, as one text.
func goSource(t *testing.T, want func(name string) bool) string {
	t.Helper()
	var code strings.Builder
	err := filepath.WalkDir(repository, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || !want(d.Name()) {
			return err
		}
		content, err := os.ReadFile(path)
		code.Write(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return code.String()
}

// TestOutagesQuoteMessages requires that docs/outages.md quotes messages as the program has them.
func TestOutagesQuoteMessages(t *testing.T) {
	t.Parallel()
	foreign := []string{ // messages of asynq, PostgreSQL and the operating system
		"Dequeue error", "too many connections", "No space left on device", "deadlock detected",
		"terminating connection due to idle-in-transaction timeout",
	}
	code := goSource(t, func(name string) bool { return !strings.HasSuffix(name, "_test.go") })
	quoted := 0
	for _, span := range codeSpan.FindAllString(readFile(t, filepath.Join(repository, "docs/outages.md")), -1) {
		message := strings.Trim(span, "`")
		if !strings.Contains(message, " ") || strings.HasPrefix(message, "make ") || slices.Contains(foreign, message) {
			continue
		}
		quoted++
		if !strings.Contains(code, message) {
			t.Errorf("docs/outages.md quotes %q, which is no message of the program", message)
		}
	}
	if quoted < 10 {
		t.Errorf("docs/outages.md quotes %d messages", quoted)
	}
}

// TestArchitectureNamesFiles requires that every path in docs/architecture.md exists.
func TestArchitectureNamesFiles(t *testing.T) {
	t.Parallel()
	named := 0
	for _, span := range codeSpan.FindAllString(readFile(t, filepath.Join(repository, "docs/architecture.md")), -1) {
		path := strings.Trim(span, "`")
		if first, _, ok := strings.Cut(path, "/"); !ok || strings.ContainsAny(path, " *") || strings.Contains(path, "NAME") || !slices.Contains([]string{"cmd", "deploy", "docs", "enqueuer", "examples", "internal", "keda", "tasks", "test", "worker"}, first) {
			continue
		}
		named++
		if _, err := os.Stat(filepath.Join(repository, path)); err != nil {
			t.Errorf("docs/architecture.md names %s: %v", path, err)
		}
	}
	if named < 20 {
		t.Errorf("docs/architecture.md names %d files and folders", named)
	}
}

// TestDecisionsAreIndexed requires that docs/decisions/README.md lists every note.
func TestDecisionsAreIndexed(t *testing.T) {
	t.Parallel()
	index := readFile(t, filepath.Join(repository, "docs/decisions/README.md"))
	notes, err := filepath.Glob(filepath.Join(repository, "docs/decisions/2*.md"))
	if err != nil || len(notes) == 0 {
		t.Fatal(err, "no notes")
	}
	for _, note := range notes {
		title, _, _ := strings.Cut(strings.TrimPrefix(readFile(t, note), "# "), "\n")
		if entry := "[" + title + "](" + filepath.Base(note) + ")"; !strings.Contains(index, entry) {
			t.Errorf("docs/decisions/README.md lacks %s", entry)
		}
	}
}
