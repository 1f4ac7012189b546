package extract

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/source"
)

func child(mode string) []string { return []string{os.Args[0], mode} }

func TestExtractInChild(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	raw := &source.Raw{Name: "a.docx", Data: makeDOCX(t, wordParagraph("In a child."), "", "T")}
	doc, err := inChild(ctx, child("child-serve"), raw, Limits{})
	if err != nil || doc.Text != "In a child." || doc.Title != "T" {
		t.Errorf("%v %v", doc, err)
	}
	if doc, err := inChild(ctx, child("child-serve"), &source.Raw{Name: "a.pdf", Data: makePDF(pdfOptions{}, "PDF in a child.")}, Limits{}); err != nil || doc.Text != "PDF in a child." {
		t.Errorf("%v %v", doc, err)
	}
	if doc, err := inChild(ctx, child("child-serve"), &source.Raw{Name: "l.jsonl#1", Data: []byte("{} & <text>"), PlainText: true}, Limits{}); err != nil || doc.Text != "{} & <text>" {
		t.Errorf("%v %v", doc, err)
	}
	bad := (*source.InputError)(nil)
	if _, err := inChild(ctx, child("child-serve"), &source.Raw{Name: "a.pdf", Data: makePDF(pdfOptions{password: "x"}, "x")}, Limits{}); !errors.As(err, &bad) || !strings.Contains(bad.Reason, "encrypted") {
		t.Errorf("%v", err)
	}
	for mode, reason := range map[string]string{"child-hog": "out of memory", "child-signal": "signal: killed", "child-silent": "without an answer"} {
		crash := (*CrashError)(nil)
		if _, err := inChild(ctx, child(mode), raw, Limits{}); !errors.As(err, &crash) || !strings.Contains(crash.Reason, reason) {
			t.Errorf("%s: %v", mode, err)
		}
	}
	short, cancel := context.WithCancel(ctx)
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := inChild(short, child("child-hang"), raw, Limits{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := inChild(ctx, []string{"/nonexistent"}, raw, Limits{}); err == nil || errors.As(err, &bad) {
		t.Errorf("no such program: %v", err)
	}
}

// A Ctrl-C on the terminal of the parent is no crash of the document that is being read.
func TestChildHasOwnProcessGroup(t *testing.T) {
	t.Parallel()
	doc, err := inChild(t.Context(), child("child-group"), &source.Raw{Name: "a.txt"}, Limits{})
	if err != nil || doc.Title != "true" {
		t.Errorf("leads a process group: %v %v", doc, err)
	}
}

func TestChildSeesNoSecrets(t *testing.T) {
	t.Parallel()
	got := childEnvironment([]string{"PATH=/bin", "OPENAI_API_KEY=sk", "HOME=/root", "AWS_SECRET_ACCESS_KEY=x", "GISTMILL_STORE=postgres://u:p@h/d"})
	same(t, got, []string{"PATH=/bin", "HOME=/root"})
}
