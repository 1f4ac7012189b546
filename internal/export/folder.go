package export

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/gistmill/gistmill/internal/ledger"
)

// LinesName is the file of JSON lines in an output folder.
const LinesName = "summaries.jsonl"

// Folder writes what `gistmill run` leaves: summaries.jsonl with a line for every summary, and a Markdown file each beside
// it. It returns how many summaries that were. Markdown files that have their content already are left alone; files of
// documents that are not in the stream stay.
func Folder(ctx context.Context, dir string, each Stream) (n int, err error) {
	root, err := openFolder(dir)
	if err != nil {
		return 0, err
	}
	defer root.Close()
	names := newNamer(LinesName)
	err = replace(root, LinesName, true, func(w io.Writer) error {
		lines := NewLines(w)
		if err := each(func(e ledger.Exported) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			r := RecordOf(e)
			if err := lines.Add(r); err != nil {
				return err
			}
			return putMarkdown(root, names, r)
		}); err != nil {
			return err
		}
		n = lines.n
		return lines.Flush()
	})
	return n, err
}

// Markdown writes a Markdown file for each summary under dir and returns how many summaries there were.
func Markdown(dir string, each Stream) (n int, err error) {
	root, err := openFolder(dir)
	if err != nil {
		return 0, err
	}
	defer root.Close()
	names := newNamer()
	err = each(func(e ledger.Exported) error {
		n++
		return putMarkdown(root, names, RecordOf(e))
	})
	return n, err
}

func openFolder(dir string) (*os.Root, error) {
	if err := os.MkdirAll(dir, folderMode); err != nil {
		return nil, fmt.Errorf("make the output folder: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the output folder: %w", err)
	}
	return root, nil
}

func putMarkdown(root *os.Root, names *namer, r Record) error {
	var page bytes.Buffer
	writePage(&page, r)
	_, err := put(root, names.name(r), page.Bytes())
	return err
}
