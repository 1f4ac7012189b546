package fakellm

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// control serves /_fake/: GET, POST (merge) and PUT (replace, from the defaults) config; GET
// and DELETE calls (?after=ID) and stats; GET stats and seconds of an interval (?from=&to=,
// Unix seconds; without from: all, without to: until now).
func (s *Server) control(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	switch r.Method + " " + r.URL.Path {
	case "GET /_fake/config":
		writeJSON(w, http.StatusOK, s.Config())
	case "POST /_fake/config", "PUT /_fake/config":
		s.setConfig(w, r)
	case "GET /_fake/calls":
		after, err := number(query, "after", 0)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		writeJSON(w, http.StatusOK, s.ledger.after(after))
	case "GET /_fake/stats", "GET /_fake/seconds":
		from, errFrom := number(query, "from", s.ledger.start())
		to, errTo := number(query, "to", time.Now().Unix()+1)
		switch {
		case errFrom != nil || errTo != nil:
			http.Error(w, errors.Join(errFrom, errTo).Error(), http.StatusBadRequest)
		case r.URL.Path == "/_fake/seconds":
			writeJSON(w, http.StatusOK, s.Seconds(from, to))
		case query.Has("from") || query.Has("to"):
			writeJSON(w, http.StatusOK, s.Interval(from, to))
		default:
			writeJSON(w, http.StatusOK, s.Stats())
		}
	case "DELETE /_fake/calls", "DELETE /_fake/stats":
		s.Reset()
		w.WriteHeader(http.StatusNoContent)
	default:
		http.Error(w, "there is GET/POST/PUT /_fake/config, GET/DELETE /_fake/calls and /_fake/stats, and GET /_fake/seconds", http.StatusNotFound)
	}
}

func number(query url.Values, name string, absent int64) (int64, error) {
	text := query.Get(name)
	if text == "" {
		return absent, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s is %q, not a whole number", name, text)
	}
	return n, nil
}

func (s *Server) setConfig(w http.ResponseWriter, r *http.Request) {
	patch, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.setting.Lock()
	defer s.setting.Unlock()
	base := s.Config()
	if r.Method == http.MethodPut {
		base = Defaults()
	}
	next, err := base.merge(patch)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.put(&next)
	writeJSON(w, http.StatusOK, next)
}
