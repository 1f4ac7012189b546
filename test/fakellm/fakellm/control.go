package fakellm

import (
	"io"
	"net/http"
	"strconv"
)

// control serves /_fake/: GET, POST (merge) and PUT (replace, from the defaults)
// config; GET and DELETE calls (?after=ID) and stats.
func (s *Server) control(w http.ResponseWriter, r *http.Request) {
	switch r.Method + " " + r.URL.Path {
	case "GET /_fake/config":
		writeJSON(w, http.StatusOK, s.Config())
	case "POST /_fake/config", "PUT /_fake/config":
		s.setConfig(w, r)
	case "GET /_fake/calls":
		after := int64(0)
		if v := r.URL.Query().Get("after"); v != "" {
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil {
				http.Error(w, "after is not a number", http.StatusBadRequest)
				return
			}
			after = n
		}
		writeJSON(w, http.StatusOK, s.ledger.after(after))
	case "GET /_fake/stats":
		writeJSON(w, http.StatusOK, s.Stats())
	case "DELETE /_fake/calls", "DELETE /_fake/stats":
		s.Reset()
		w.WriteHeader(http.StatusNoContent)
	default:
		http.Error(w, "there is GET/POST/PUT /_fake/config and GET/DELETE /_fake/calls, /_fake/stats", http.StatusNotFound)
	}
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
	s.cfg.Store(&next)
	writeJSON(w, http.StatusOK, next)
}
