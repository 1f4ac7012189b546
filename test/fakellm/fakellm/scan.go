package fakellm

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
)

var errRequest = errors.New("not a chat completion request")

// scanRequest parses a request in one pass over its bytes. encoding/json reads them twice and
// uses reflection, which would take most of this server's time for long prompts. Anything that
// is not the plain form of a request goes to encoding/json.
func scanRequest(body []byte) (request, error) {
	var req request
	sc := scanner{b: body}
	err := sc.object(func(key string) error {
		switch key {
		case "model":
			return sc.text(&req.Model)
		case "service_tier":
			return sc.text(&req.ServiceTier)
		case "max_tokens":
			return sc.number(&req.MaxTokens)
		case "max_completion_tokens":
			return sc.number(&req.MaxCompletionTokens)
		case "messages":
			return sc.array(func() error {
				var m message
				err := sc.object(func(key string) error {
					switch key {
					case "role":
						return sc.text(&m.Role)
					case "content":
						return sc.text(&m.Content)
					}
					return sc.skip(nil)
				})
				req.Messages = append(req.Messages, m)
				return err
			})
		case "response_format":
			return sc.skip((*[]byte)(&req.ResponseFormat))
		}
		return sc.skip(nil)
	})
	sc.space()
	if err == nil && sc.i == len(body) {
		return req, nil
	}
	req = request{}
	err = json.Unmarshal(body, &req)
	return req, err
}

type scanner struct {
	b []byte
	i int
}

func (s *scanner) space() {
	for s.i < len(s.b) && (s.b[s.i] == ' ' || s.b[s.i] == '\n' || s.b[s.i] == '\r' || s.b[s.i] == '\t') {
		s.i++
	}
}

func (s *scanner) take(c byte) bool {
	s.space()
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

func (s *scanner) object(field func(key string) error) error {
	if !s.take('{') {
		return errRequest
	}
	if s.take('}') {
		return nil
	}
	for {
		var key string
		if err := s.text(&key); err != nil {
			return err
		}
		if !s.take(':') {
			return errRequest
		}
		if err := field(key); err != nil {
			return err
		}
		if s.take('}') {
			return nil
		}
		if !s.take(',') {
			return errRequest
		}
	}
}

func (s *scanner) array(item func() error) error {
	if !s.take('[') {
		return errRequest
	}
	if s.take(']') {
		return nil
	}
	for {
		if err := item(); err != nil {
			return err
		}
		if s.take(']') {
			return nil
		}
		if !s.take(',') {
			return errRequest
		}
	}
}

// text parses a string; one without escapes is copied as it is.
func (s *scanner) text(out *string) error {
	raw, escaped, err := s.literal()
	if err != nil {
		return err
	}
	if escaped {
		return json.Unmarshal(raw, out)
	}
	*out = string(raw[1 : len(raw)-1])
	return nil
}

// literal skips a string, quotes included.
func (s *scanner) literal() (raw []byte, escaped bool, err error) {
	if !s.take('"') {
		return nil, false, errRequest
	}
	start := s.i - 1
	for {
		n := bytes.IndexByte(s.b[s.i:], '"')
		if n < 0 {
			return nil, false, errRequest
		}
		part := s.b[s.i : s.i+n]
		s.i += n + 1
		escapes := 0
		for k := len(part) - 1; k >= 0 && part[k] == '\\'; k-- {
			escapes++
		}
		escaped = escaped || bytes.IndexByte(part, '\\') >= 0
		if escapes%2 == 0 {
			return s.b[start:s.i], escaped, nil
		}
	}
}

func (s *scanner) number(out *int) error {
	var raw []byte
	if err := s.skip(&raw); err != nil {
		return err
	}
	n, err := strconv.Atoi(string(raw))
	*out = n
	return err
}

// skip skips any value.
func (s *scanner) skip(raw *[]byte) error {
	s.space()
	start := s.i
	depth := 0
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case '"':
			if _, _, err := s.literal(); err != nil {
				return err
			}
			s.i--
		case '{', '[':
			depth++
		case '}', ']', ',':
			if depth == 0 {
				return s.skipped(start, raw)
			}
			if s.b[s.i] != ',' {
				depth--
			}
		}
		s.i++
		if depth == 0 && (s.b[s.i-1] == '}' || s.b[s.i-1] == ']' || s.b[s.i-1] == '"') {
			return s.skipped(start, raw)
		}
	}
	return errRequest
}

func (s *scanner) skipped(start int, raw *[]byte) error {
	value := bytes.TrimSpace(s.b[start:s.i])
	if len(value) == 0 {
		return errRequest
	}
	if raw != nil {
		*raw = value
	}
	return nil
}
