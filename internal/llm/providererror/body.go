package providererror

import (
	"bytes"
	"html"
	"regexp"
	"strings"

	"github.com/gistmill/gistmill/internal/text"
)

// isEventStream reports whether a body has the framing of server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html).
func isEventStream(body []byte) bool {
	for _, prefix := range []string{"data:", "event:", "id:", ":", "retry:"} {
		if bytes.HasPrefix(body, []byte(prefix)) {
			return true
		}
	}
	return false
}

// parseEvents returns the first error in a stream of events. An event's data may span lines.
func parseEvents(body []byte) Error {
	body = bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n"))
	for event := range bytes.SplitSeq(body, []byte("\n\n")) {
		var data [][]byte
		failed := false
		for line := range bytes.SplitSeq(event, []byte("\n")) {
			if value, ok := bytes.CutPrefix(line, []byte("data:")); ok {
				data = append(data, bytes.TrimPrefix(value, []byte(" ")))
			}
			if value, ok := bytes.CutPrefix(line, []byte("event:")); ok {
				failed = strings.Contains(strings.ToLower(string(value)), "error")
			}
		}
		joined := bytes.TrimSpace(bytes.Join(data, []byte("\n")))
		if len(joined) == 0 || isEventStream(joined) {
			continue
		}
		status := 200
		if failed {
			status = 500
		}
		if e := Parse(status, joined); e.Found {
			return e
		}
	}
	return Error{}
}

var (
	title   = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title>`)
	heading = regexp.MustCompile(`(?is)<h[12][^>]*>(.*?)</h[12]>`)
	hiddenX = regexp.MustCompile(`(?is)<(script|style|head)\b.*?</(script|style|head)>|<!--.*?-->`)
	tag     = regexp.MustCompile(`(?s)<[^>]*>`)
	xmlCode = regexp.MustCompile(`(?is)<(?:\w+:)?code>(.*?)</(?:\w+:)?code>`)
	xmlText = regexp.MustCompile(`(?is)<(?:\w+:)?(?:message|faultstring|description|details?|reason|text)\b[^>]*>(.*?)</`)
)

// parseMarkup reads an HTML page: its title and its first heading, else its text. XML errors, as
// AWS sends them, have elements Code and Message. A page with a 2xx is not an answer, so Message
// and HTML are set, and Found is not.
func parseMarkup(body []byte, failed bool) Error {
	page := string(body[:min(len(body), 64<<10)])
	if !looksLikePage(page) {
		e := Error{Code: plain(xmlCode, page), Message: plain(xmlText, page)}
		e.Codes = appendCode(nil, e.Code)
		if e.Message != "" {
			e.Found = true
			return e
		}
	}
	e := Error{HTML: true, Found: failed}
	parts := []string{plain(title, page), plain(heading, page)}
	switch {
	case parts[0] == "" && parts[1] == "":
		e.Message = text.Cut(withoutTags(hiddenX.ReplaceAllString(page, " ")), maxRaw)
	case parts[0] == "" || strings.Contains(parts[1], parts[0]):
		e.Message = parts[1]
	case parts[1] == "" || strings.Contains(parts[0], parts[1]):
		e.Message = parts[0]
	default:
		e.Message = parts[0] + ": " + parts[1]
	}
	return e
}

func looksLikePage(page string) bool {
	lower := strings.ToLower(page[:min(len(page), 1024)])
	return strings.Contains(lower, "<!doctype html") || strings.Contains(lower, "<html") || strings.Contains(lower, "<head") ||
		strings.Contains(lower, "<title") || strings.Contains(lower, "<body") || strings.Contains(lower, "<h1")
}

// plain returns the first match of an element as text.
func plain(element *regexp.Regexp, page string) string {
	m := element.FindStringSubmatch(page)
	if m == nil {
		return ""
	}
	return text.Cut(withoutTags(m[1]), maxRaw)
}

func withoutTags(s string) string {
	return strings.Join(strings.Fields(html.UnescapeString(tag.ReplaceAllString(s, " "))), " ")
}

// failing matches words of a short text that comes with a 2xx and is no answer.
var failing = regexp.MustCompile(`(?i)\b(error|unavailable|not found|denied|forbidden|exceeded|unexpected (?:endpoint|end|response|status)|invalid|fail(?:ed|ure)|unauthori[sz]ed|too many|bad gateway|timed? ?out|no healthy upstream|upstream)\b`)

// soundsLikeError reports whether the text of a 2xx is an error. Longer ones may be an answer.
func soundsLikeError(body []byte) bool {
	return len(body) <= 200 && bytes.Count(body, []byte("\n")) <= 2 && body[0] != '{' && body[0] != '[' && failing.Match(body)
}
