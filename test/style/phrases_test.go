package style

import (
	"regexp"
	"strings"
)

// A phrase is wording that the project does not use, and what to write in its place.
type phrase struct {
	// A space matches any white space. Case is ignored unless the pattern says otherwise.
	pattern string
	better  string
	bad     []string // examples that the pattern finds
	good    []string // examples that it does not
}

// retiredPhrases returns the phrases that the project does not use.
func retiredPhrases() []phrase {
	return []phrase{
		{`\b(whoever|whomever)\b`, `name the actor: "a process that …", "callers that …"`,
			[]string{"whoever calls it"}, nil},
		{`(?-i:\bWho )|[.:;] who\b|\b(for|to|of|from|by|with|only|lets?|in) who\b`, `name the actor: "a worker that …", "the caller"; no sentence begins with a bare "who"`,
			[]string{"Who calls it waits.", "of use only to who waits", "for who has it"}, []string{"for those who wait", "the WHO", "people who look", "whole"}},
		{`\bnobody\b|(?-i:\b[Nn]o one\b)`, `"no process", "no caller", "no worker", or the passive`,
			[]string{"nobody waits", "no one waits"}, nil},
		{`\bsomebody\b|\beverybody\b|\banybody\b`, `name the actor: "another process", "every client"; else "someone", "everyone"`,
			[]string{"somebody reads it"}, nil},
		{`\bfor ever\b`, `"permanently", "without end"`,
			[]string{"waits for ever"}, []string{"for every"}},
		{`\bat the (most|least)\b`, `"at most", "at least"`,
			[]string{"three at the most"}, []string{"at most", "at the mostly"}},
		{`\bso (many|few)\b`, `"that number of", or the number itself`,
			[]string{"so many bytes"}, []string{"many"}},
		{`\b(by|of) (itself|themselves|its own accord)\b`, `"automatically", "separately", "on its own"`,
			[]string{"starts by itself", "counted by themselves"}, []string{"in itself"}},
		{`\b(is|are|was|were|be|been|being) told\b`, `"receives", "gets", "learns"; say who sends it`,
			[]string{"a worker is told"}, []string{"tells a worker"}},
		{`\b(is|are|was|were) to be\b`, `"must be", "has to be", or the present tense`,
			[]string{"what is to be done"}, []string{"has to be"}},
		{`\bmend(s|ed|ing)?\b`, `"fix", "repair", "restore"`,
			[]string{"once it is mended"}, []string{"amended", "recommend"}},
		{`\b(stand|stands|stood)\b`, `"is", "exists", "appears", "represents"`,
			[]string{"the text as it stands", "where it stood"}, []string{"understand", "standing", "standalone", "standard"}},
		{`\blest\b`, `"so that … not"`,
			[]string{"lest it waits"}, []string{"smallest"}},
		{`\bwhat is not\b`, `name the thing: "other files", "missing documents"`,
			[]string{"what is not there"}, nil},
		{`\bwhom\b`, `two sentences, or "that"`,
			[]string{"of whom one waits", "whom it asks"}, nil},
		{`\bof which (there|each|some|none|nobody|no|one|two)\b`, `two sentences`,
			[]string{"of which there are two"}, []string{"the first of which is read"}},
		{`\b(beside|behind|after) each other\b`, `"next to each other", "one after another", "concurrently"`,
			[]string{"run beside each other"}, []string{"wait for each other"}},
		{`(^|[.:;,] )(were|had|should) (it|there|they)\b`, `"if it were", "if there were"`,
			[]string{"were it held, nothing would move"}, []string{"if it were held", "those that were there"}},
		{`\b(it|this|that) is the one\b`, `say what it is`,
			[]string{"it is the one that waits"}, nil},
		{`\b(once more|anew)\b`, `"again"`,
			[]string{"read once more", "read anew"}, []string{"renew", "a new one"}},
		{`\bsees? to\b`, `"ensures", "checks"`,
			[]string{"sees to it that", "the ledger sees to this"}, nil},
		{`\b(hears?|heard) of\b`, `"receives", "learns about"`,
			[]string{"a claim nobody heard of"}, nil},
		{`\b(says?|said) of\b`, `"reports about", "shows for"`,
			[]string{"what it says of a document"}, []string{"says so"}},
		{`\b(is|are|was|were) said\b`, `"is reported", "is logged", "is printed"`,
			[]string{"the reason is said once"}, nil},
		{`\bthe books\b`, `"the ledger", "the accounts"`,
			[]string{"ends in the books"}, nil},
		{`\bthe dead[,.;:]`, `"dead letters", "dead workers"`,
			[]string{"retries the dead."}, []string{"the dead letters"}},
		{`\b(is|are) well[.,;:]|\ball is well\b`, `"is healthy", "works"`,
			[]string{"as soon as it is well."}, []string{"is well-formed"}},
		{`\b(in|into) (the|its|his|their|nobody's|strange|whose|one's) hands\b`, `"claimed by", "held by"`,
			[]string{"in nobody's hands", "in the hands of a worker"}, []string{"hands it back"}},
		{`\bno matter of\b|\bis the business of\b|\b(has|have) business\b`, `"is not the concern of", "belongs to"`,
			[]string{"is no matter of rules"}, nil},
		{`\b(thereof|therein|thereby|thereupon|herein|hereby|whence|thence|whereof|whereupon|upon|ought)\b`, `"by this", "in it", "on"`,
			[]string{"and thereby ends"}, nil},
		{`(?-i:(^|[.:;] )Of (the|these|those|two|three|several|all|equal|a|an|each|it|[0-9]+)\b)`, `subject first: "X of the Y …", "For each Y, X …"`,
			[]string{"Of equal ones the first comes first"}, []string{"One of the two"}},
	}
}

// compile returns the regular expression of a phrase's pattern.
func (p phrase) compile() *regexp.Regexp {
	return regexp.MustCompile(`(?i)` + strings.ReplaceAll(p.pattern, " ", `\s+`))
}
