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

// rereadInterval is the time after which the token's file is read again, so that a rotated secret
// works without a restart.
const rereadInterval = 5 * time.Second

// Token is the token of the server. Clients present it as `Authorization: Bearer TOKEN`, or with
// Basic authentication as the password of any user, as browsers do. It is safe for concurrent use.
// A nil Token allows all requests.
type Token struct {
	path string

	mu   sync.Mutex
	sum  [sha256.Size]byte
	read time.Time
}

// ReadToken reads the token from a file and trims white space around it. An empty token is an
// error.
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
		return fmt.Errorf("the token in %s is empty: write one to the file, for example with `openssl rand -hex 32`", t.path)
	}
	t.sum, t.read = sha256.Sum256([]byte(token)), time.Now()
	return nil
}

// matches compares in constant time. While the file cannot be read, the previous token stays valid.
func (t *Token) matches(presented string, log *slog.Logger) bool {
	t.mu.Lock()
	if time.Since(t.read) > rereadInterval {
		if err := t.load(); err != nil {
			log.Warn("cannot read the token, using the previous one", "error", err)
			t.read = time.Now()
		}
	}
	sum := t.sum
	t.mu.Unlock()
	other := sha256.Sum256([]byte(presented))
	return subtle.ConstantTimeCompare(sum[:], other[:]) == 1
}

// guard rejects requests without the token.
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
		http.Error(w, "Authentication required. User name: anything. Password: the server's token. Programs send it as a Bearer token.", http.StatusUnauthorized)
	})
}
