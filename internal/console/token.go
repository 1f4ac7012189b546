package console

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// reread is how often the token's file is looked at again, so that a rotated secret holds without a restart.
const reread = 5 * time.Second

// Token is what callers present: `Authorization: Bearer TOKEN`, or Basic with the token as the password of any user, as browsers
// do. It is safe for concurrent use; a nil Token asks for nothing.
type Token struct {
	path string

	mu   sync.Mutex
	sum  [sha256.Size]byte
	read time.Time
}

// ReadToken reads the token from a file; blanks around it do not count, and an empty one is refused.
func ReadToken(path string) (*Token, error) {
	t := &Token{path: path}
	return t, t.load()
}

func (t *Token) load() error {
	content, err := os.ReadFile(t.path)
	if err != nil {
		return fmt.Errorf("read the token: %w", err)
	}
	token := strings.TrimSpace(string(content))
	if token == "" {
		return fmt.Errorf("the token in %s is empty: write one into it, e.g. with `openssl rand -hex 32`", t.path)
	}
	t.sum, t.read = sha256.Sum256([]byte(token)), time.Now()
	return nil
}

// matches compares in constant time. While the file can't be read the last token holds.
func (t *Token) matches(presented string, log *slog.Logger) bool {
	t.mu.Lock()
	if time.Since(t.read) > reread {
		if err := t.load(); err != nil {
			log.Warn("the last token still holds", "error", err)
			t.read = time.Now()
		}
	}
	sum := t.sum
	t.mu.Unlock()
	other := sha256.Sum256([]byte(presented))
	return subtle.ConstantTimeCompare(sum[:], other[:]) == 1
}

// guard lets only those in who present the token.
func (t *Token) guard(next http.Handler, log *slog.Logger) http.Handler {
	if t == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		presented, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			_, presented, ok = r.BasicAuth()
		}
		if ok && t.matches(presented, log) {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="gistmill", charset="UTF-8"`)
		http.Error(w, "this needs the server's token: as a Bearer token, or as the password of any user", http.StatusUnauthorized)
	})
}
