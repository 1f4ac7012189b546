package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"cloud.google.com/go/storage"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"gocloud.dev/blob"
	_ "gocloud.dev/blob/azureblob" // azblob://
	_ "gocloud.dev/blob/gcsblob"   // gs://
	_ "gocloud.dev/blob/s3blob"    // s3://
	"gocloud.dev/gcerrors"
	"golang.org/x/sync/errgroup"

	"github.com/gistmill/gistmill/internal/text"
)

// bucketTree is the objects of a bucket below a prefix, or one object.
type bucketTree struct {
	bucket *blob.Bucket
	prefix string // empty, or with a slash at its end
	single string // the key of a source of one object
	// files, if not nil, are the names of the objects that are listed, sorted.
	files []string
	// etags reports whether both listings and attributes have entity tags.
	etags bool
}

// openBucket opens the bucket of an address. A path without a slash at its end names an object
// if one exists under that key, else a folder. The returned address has the slash of a folder.
func openBucket(ctx context.Context, l address) (*bucketTree, address, error) {
	b, err := openBlob(ctx, l)
	if err != nil {
		return nil, l, err
	}
	t, l, err := newBucketTree(ctx, b, l)
	if err != nil {
		_ = b.Close()
		return nil, l, err
	}
	return t, l, nil
}

func openBlob(ctx context.Context, l address) (*blob.Bucket, error) {
	u := url.URL{Scheme: l.scheme, Host: l.bucket, RawQuery: l.query.Encode()}
	b, err := blob.OpenBucket(ctx, u.String())
	if err != nil {
		place := l.scheme + "://" + l.bucket
		return nil, &openError{place, strings.ReplaceAll(err.Error(), u.String(), place), err}
	}
	return b, nil
}

// openError is an error of a driver without the address that it quotes: the parameters may hold a
// key that a user put there by mistake.
type openError struct {
	place, text string
	err         error
}

// Error returns the driver's text.
func (e *openError) Error() string { return "open bucket " + e.place + ": " + e.text }

// Unwrap returns the driver's error.
func (e *openError) Unwrap() error { return e.err }

func newBucketTree(ctx context.Context, b *blob.Bucket, l address) (*bucketTree, address, error) {
	t := &bucketTree{bucket: b, prefix: l.path}
	switch l.scheme {
	case "s3", "gs", "azblob":
		t.etags = true
	}
	where := l.scheme + "://" + l.bucket
	if l.path != "" && !strings.HasSuffix(l.path, "/") {
		ok, err := b.Exists(ctx, l.path)
		if err != nil {
			return nil, l, bucketProblem(where+"/"+l.path, err)
		}
		if ok {
			t.single, t.prefix = l.path, l.path[:strings.LastIndexByte(l.path, '/')+1]
			return t, l, nil
		}
		t.prefix = l.path + "/"
		if _, err := b.List(&blob.ListOptions{Prefix: t.prefix}).Next(ctx); atEnd(err) {
			return nil, l, fmt.Errorf("%w: there is no object %q and nothing below it in %s", ErrNoSource, l.path, where)
		} else if err != nil {
			return nil, l, bucketProblem(where, err)
		}
		l.path = t.prefix
		return t, l, nil
	}
	// Listing one object shows a wrong name or missing permissions now.
	if _, err := b.List(&blob.ListOptions{Prefix: t.prefix}).Next(ctx); err != nil && !atEnd(err) {
		return nil, l, bucketProblem(where, err)
	}
	return t, l, nil
}

func bucketProblem(where string, err error) error {
	if gcerrors.Code(err) == gcerrors.NotFound {
		return fmt.Errorf("%w: %s does not exist: %w", ErrNoSource, where, err)
	}
	return fmt.Errorf("access %s (check name, region and credentials): %w", where, err)
}

func (t *bucketTree) close() error { return t.bucket.Close() }

func (t *bucketTree) list(ctx context.Context, f *filter, yield func(item) bool) error {
	if t.single != "" {
		it, err := t.item(ctx, escapeName(t.single[len(t.prefix):]))
		if errors.Is(err, ErrGone) {
			return nil
		}
		if err != nil {
			return err
		}
		yield(it)
		return nil
	}
	if t.files != nil {
		return t.listFiles(ctx, yield)
	}
	objects := t.bucket.List(&blob.ListOptions{Prefix: t.prefix})
	for {
		o, err := objects.Next(ctx)
		if atEnd(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("list bucket: %w", err)
		}
		name := o.Key[len(t.prefix):]
		if o.IsDir || name == "" || strings.HasSuffix(name, "/") {
			continue // a folder marker
		}
		it := item{name: name, uri: escapeName(name), size: o.Size, modified: o.ModTime}
		if !f.shows(it.uri) {
			continue
		}
		it.version = t.version(it, listedTag(o))
		if !yield(it) {
			return nil
		}
	}
}

// listFiles looks up the objects that the user named, several at a time.
func (t *bucketTree) listFiles(ctx context.Context, yield func(item) bool) error {
	for some := range slices.Chunk(t.files, 8*bucketLookups) {
		found := make([]item, len(some))
		gone := make([]bool, len(some))
		lookups, ctx := errgroup.WithContext(ctx)
		lookups.SetLimit(bucketLookups)
		for i, name := range some {
			lookups.Go(func() (err error) {
				found[i], err = t.item(ctx, escapeName(name))
				if gone[i] = errors.Is(err, ErrGone); gone[i] {
					return nil
				}
				return err
			})
		}
		if err := lookups.Wait(); err != nil {
			return err
		}
		for i, it := range found {
			if !gone[i] && !yield(it) {
				return nil
			}
		}
	}
	return nil
}

// listedTag returns the entity tag of a listed object. gocloud.dev itself does not expose it.
func listedTag(o *blob.ListObject) string {
	var s s3types.Object
	var g storage.ObjectAttrs
	var a container.BlobItem
	switch {
	case o.As(&s):
		if s.ETag != nil {
			return *s.ETag
		}
	case o.As(&g):
		return g.Etag
	case o.As(&a):
		if a.Properties != nil && a.Properties.ETag != nil {
			return string(*a.Properties.ETag)
		}
	}
	return ""
}

// version returns the same string for a listed object and for one that was looked up. The two
// may differ in the quotes and the weak mark of their entity tags.
func (t *bucketTree) version(it item, etag string) string {
	if t.etags && etag != "" {
		return strings.Trim(strings.TrimPrefix(etag, "W/"), `"`)
	}
	return fileVersion(it.size, it.modified)
}

func (t *bucketTree) item(ctx context.Context, uri string) (item, error) {
	name := text.UnescapeName(uri)
	if t.single != "" && t.prefix+name != t.single {
		return item{}, ErrGone
	}
	a, err := t.bucket.Attributes(ctx, t.prefix+name)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return item{}, ErrGone
	}
	if err != nil {
		return item{}, fmt.Errorf("look up object: %w", err)
	}
	it := item{name: name, uri: uri, size: a.Size, modified: a.ModTime}
	it.version = t.version(it, a.ETag)
	return it, nil
}

func (t *bucketTree) open(ctx context.Context, it item) (io.ReadCloser, item, error) {
	now, err := t.item(ctx, it.uri)
	if err != nil {
		return nil, item{}, err
	}
	r, err := t.bucket.NewReader(ctx, t.prefix+now.name, nil)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil, item{}, ErrGone
	}
	if err != nil {
		return nil, item{}, fmt.Errorf("read object: %w", err)
	}
	return r, now, nil
}

func (t *bucketTree) readRange(ctx context.Context, it item, offset, length int64) ([]byte, error) {
	r, err := t.bucket.NewRangeReader(ctx, t.prefix+it.name, offset, length, nil)
	if err != nil {
		// Providers report a range beyond the end of an object with different errors, so check
		// whether the object has become smaller.
		now, lookErr := t.item(ctx, it.uri)
		if errors.Is(lookErr, ErrGone) || lookErr == nil && offset >= now.size {
			return nil, lookErr
		}
		return nil, fmt.Errorf("read part of object: %w", err)
	}
	defer func() { _ = r.Close() }()
	b, err := io.ReadAll(io.LimitReader(r, length))
	if err != nil {
		return nil, fmt.Errorf("read part of object: %w", err)
	}
	return b, nil
}
