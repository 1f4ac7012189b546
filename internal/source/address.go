package source

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
)

// address is the parsed address of a source.
type address struct {
	scheme string // "file", "s3", "gs", "azblob"
	// path is absolute and cleaned for "file". For a bucket it is the key of an object, or a
	// prefix, which is empty or ends in a slash.
	path   string
	bucket string
	// query holds the parameters of the bucket's driver (region, endpoint, …).
	query  url.Values
	fields lineFields // from the URL, empty if it has none
}

const (
	idFieldParam   = "id_field"
	textFieldParam = "text_field"
)

// parseAddress parses an address that a user writes, or a [Source.URL].
func parseAddress(raw string) (address, error) {
	if raw == "" {
		return address{}, fmt.Errorf("%w: the address is empty", ErrNoSource)
	}
	if strings.ContainsRune(raw, 0) {
		return address{}, fmt.Errorf("%w: the address %q holds a NUL byte", ErrNoSource, raw)
	}
	scheme, _, ok := strings.Cut(raw, "://")
	if ok && strings.ContainsAny(scheme, "@:") {
		return address{}, errors.New("the source's address has a user or a password before its scheme: set credentials in the environment instead")
	}
	if !ok || !isScheme(scheme) {
		abs, err := filepath.Abs(raw)
		if err != nil {
			return address{}, fmt.Errorf("make %q absolute: %w", raw, err)
		}
		return address{scheme: "file", path: abs}, nil
	}
	u, err := url.Parse(raw)
	if err != nil {
		// The text of url.Error contains the address, and so perhaps a password.
		return address{}, fmt.Errorf("the source's address %s://… is not a valid URL", scheme)
	}
	if u.User != nil {
		return address{}, fmt.Errorf("the source's address %s://… holds a user or a password: set credentials in the environment instead", scheme)
	}
	// A part of a password with an unescaped character ends up in the host or in the query. An
	// endpoint may hold one, too.
	if strings.Contains(u.Host, ":") || strings.Contains(u.RawQuery, "@") || strings.Contains(strings.ToLower(u.RawQuery), "%40") {
		return address{}, fmt.Errorf("the source's address %s://… holds a password or a port: set credentials and endpoints in the environment instead", scheme)
	}
	if u.Fragment != "" {
		return address{}, fmt.Errorf("the source's address %s://… has a #: write it as %%23", scheme)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return address{}, fmt.Errorf("the query of the source's address %s://… is not valid", scheme)
	}
	l := address{scheme: strings.ToLower(u.Scheme), bucket: u.Host, query: query}
	l.fields = lineFields{id: query.Get(idFieldParam), text: query.Get(textFieldParam)}
	query.Del(idFieldParam)
	query.Del(textFieldParam)
	switch l.scheme {
	case "file":
		if l.bucket != "" && l.bucket != "localhost" {
			return address{}, fmt.Errorf("%w: %q names the host %q: write file:///path with three slashes", ErrNoSource, raw, l.bucket)
		}
		if strings.ContainsRune(u.Path, 0) || u.Path == "" {
			return address{}, fmt.Errorf("%w: %q has no usable path", ErrNoSource, raw)
		}
		if len(query) > 0 {
			return address{}, fmt.Errorf("the address %q has a query: only %s and %s are known", raw, idFieldParam, textFieldParam)
		}
		l.bucket = ""
		l.path = filepath.Clean(filepath.FromSlash(u.Path))
	case "s3", "gs", "azblob":
		if l.bucket == "" {
			return address{}, fmt.Errorf("%w: %q names no bucket", ErrNoSource, raw)
		}
		l.path = strings.TrimPrefix(u.Path, "/")
	default:
		return address{}, fmt.Errorf("%w: %s:// is not supported (a folder, a file, a .jsonl file, s3://, gs://, azblob://, file:// or -)", ErrNoSource, scheme)
	}
	return l, nil
}

// LocalPath returns the absolute path of a source that is a local folder or file; ok is false for
// any other address.
func LocalPath(raw string) (path string, ok bool) {
	if raw == "-" {
		return "", false
	}
	l, err := parseAddress(raw)
	return l.path, err == nil && l.scheme == "file"
}

// FileURI returns the URI that a local file has, or would have, in a source with this URL; ok is
// false for a file that is not below it. Links are resolved.
func FileURI(sourceURL, file string) (uri string, ok bool) {
	root, ok := LocalPath(sourceURL)
	if !ok {
		return "", false
	}
	base := filepath.Base(root)
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		return "", false
	}
	if file, err = filepath.Abs(file); err == nil {
		file, err = filepath.EvalSymlinks(file)
	}
	if err != nil {
		return "", false
	}
	if file == root {
		return escapeName(base), true
	}
	rel, ok := below(root, file)
	return escapeName(rel), ok
}

// url returns the address as the identity of a source.
func (l address) url(f lineFields) string {
	q := url.Values{}
	for k, v := range l.query {
		q[k] = v
	}
	if f.id != defaultIDField {
		q.Set(idFieldParam, f.id)
	}
	if f.text != defaultTextField {
		q.Set(textFieldParam, f.text)
	}
	u := url.URL{Scheme: l.scheme, Host: l.bucket, Path: filepath.ToSlash(l.path), RawQuery: q.Encode()}
	// The key of an object may begin with a slash.
	if l.scheme != "file" || !strings.HasPrefix(u.Path, "/") {
		u.Path = "/" + u.Path
	}
	return u.String()
}

// isScheme follows RFC 3986, 3.1. A single letter is taken for a Windows drive.
func isScheme(s string) bool {
	if len(s) < 2 {
		return false
	}
	for i, c := range []byte(s) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '+' && c != '-' && c != '.') {
			return false
		}
	}
	return true
}
