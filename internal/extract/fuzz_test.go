package extract

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gistmill/gistmill/internal/source"
	"github.com/gistmill/gistmill/internal/text"
)

// checkExtract requires clean text or a reason for any bytes.
func checkExtract(t *testing.T, x *Extractor, name string, data []byte) {
	t.Helper()
	doc, err := x.Extract(t.Context(), &source.Raw{Name: name, Data: data})
	if err != nil {
		bad := (*source.InputError)(nil)
		if !errors.As(err, &bad) || bad.Reason == "" {
			t.Fatalf("%q: another type of error: %v", name, err)
		}
		if strings.Contains(bad.Reason, "panic") {
			t.Fatalf("%q: %s", name, bad.Reason)
		}
		return
	}
	if !utf8.ValidString(doc.Text) || !utf8.ValidString(doc.Title) || doc.Text == "" || strings.Contains(doc.Title, "\n") {
		t.Fatalf("title %q text %q", doc.Title, doc.Text)
	}
	// Whether Clean keeps a joiner depends on its neighbours.
	seen := map[rune]bool{'\u200c': true, '\u200d': true}
	for _, r := range doc.Text + doc.Title {
		if seen[r] {
			continue
		}
		seen[r] = true
		if kept, _ := text.Clean([]byte("x" + string(r) + "x")); !strings.ContainsRune(kept, r) {
			t.Fatalf("%U is left in %q", r, doc.Text)
		}
	}
	if again, _ := text.Clean([]byte(doc.Text)); again != doc.Text {
		t.Fatalf("cleaning again changes %q to %q", doc.Text, again)
	}
}

// fuzzFormat fuzzes the reader of an extension.
func fuzzFormat(f *testing.F, ext string, limits Limits, seeds ...[]byte) {
	f.Helper()
	for _, s := range seeds {
		f.Add(s)
	}
	x := New(limits)
	f.Cleanup(func() { _ = x.Close() })
	f.Fuzz(func(t *testing.T, data []byte) { checkExtract(t, x, "fuzz"+ext, data) })
}

var smallLimits = Limits{Bytes: 1 << 20, Text: 4 << 20, Inflated: 4 << 20, InflatedPart: 2 << 20}

func FuzzText(f *testing.F) {
	fuzzFormat(f, ".txt", smallLimits, []byte("Plain \x07 text\r\n\u200d"), []byte("\xff\xfea\x00"), []byte("gr\xfcn"), []byte("\xe2\x80\xaemi\u200cx \U000e0041"))
}

func FuzzMarkdown(f *testing.F) {
	fuzzFormat(f, ".md", smallLimits, []byte("---\ntitle: x\n---\n# H\n"), []byte("T\n==\n```\n# no\n```"))
}

func FuzzHTML(f *testing.F) {
	fuzzFormat(f, ".html", smallLimits, []byte("<html><head><title>T</title><body><table><tr><td>a<td>b</table><pre> x\n</pre><p hidden>y"), []byte("<!DOCTYPE html><svg><title>x</title></svg><select><option>a"), []byte("<p>base64,AAAA<template><b>"))
}

func FuzzEmail(f *testing.F) {
	fuzzFormat(f, ".eml", smallLimits, []byte("From: a@b\nSubject: =?x?q?y?=\nContent-Type: multipart/mixed; boundary=B\n\n--B\nContent-Type: text/html; charset=koi8-r\n\n<p>x\n--B--"), []byte("From: a\nDate: b\nContent-Type: message/rfc822\n\nFrom: c\nSubject: d\n\ne"))
}

func FuzzJSON(f *testing.F) {
	fuzzFormat(f, ".json", smallLimits, []byte(`{"a":[1,{"b":null}],"c":"d"}`), []byte("{}{}[]"), []byte(`[[["x"]]]`))
}

func FuzzCSV(f *testing.F) {
	fuzzFormat(f, ".csv", smallLimits, []byte("a,b\n1,\"2\n3\"\n"), []byte("a;b;c\n;;\n"), []byte("\t\n"))
}

func FuzzXML(f *testing.F) {
	fuzzFormat(f, ".xml", smallLimits, []byte(`<?xml version="1.0" encoding="utf-16"?><a b="c"><![CDATA[x]]></a>`))
}

func FuzzDOCX(f *testing.F) {
	fuzzFormat(f, ".docx", smallLimits, makeDOCX(f, wordParagraph("x")+"<w:tbl><w:tr><w:tc>"+wordParagraph("y")+"</w:tc></w:tr></w:tbl>", wordStyles, "T"))
}

// FuzzDOCXBody fuzzes the content of the archive, which mutations of the archive rarely reach.
func FuzzDOCXBody(f *testing.F) {
	f.Add(`<w:p><w:pPr><w:pStyle w:val="Titel"/></w:pPr><w:r><w:t>x</w:t></w:r></w:p>`)
	x := New(smallLimits)
	f.Cleanup(func() { _ = x.Close() })
	f.Fuzz(func(t *testing.T, body string) { checkExtract(t, x, "fuzz.docx", makeDOCX(t, body, wordStyles, "")) })
}

func FuzzEPUB(f *testing.F) {
	fuzzFormat(f, ".epub", smallLimits, makeEPUB(f, "T", nil, "<h1>x</h1>", "<p>y"))
}

func FuzzPDF(f *testing.F) {
	fuzzFormat(f, ".pdf", smallLimits, makePDF(pdfOptions{title: "T"}, "x", "y"), makePDF(pdfOptions{password: "p"}, "x"), []byte("%PDF-1.4\ntrailer<</Root 1 0 R>>"))
}
