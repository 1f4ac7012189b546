package llm

// Repeat reports that one more call may give an answer, and what the failure is if that call ends
// in the same way. No waiting helps, so further calls would be paid for nothing:
//
//   - The endpoint read the prompt and gave neither an answer nor an error. Gemini does so where it
//     blocks a prompt (bespokelabsai/curator issue 621), and now and then without cause. The second
//     time the document is refused.
//   - The answer is larger than 16 MiB: a model that does not stop. The second time the answer is
//     too long.
//   - The answer is white space up to its cap. The second request is written without the
//     endpoint's structured output, so the same failure cannot come back.
func (e *Error) Repeat() (last *Error, again bool) {
	same := *e
	switch e.Code {
	case codeNoAnswer:
		same.Class = Refused
		same.Message = "the endpoint read the prompt and gave no answer, also when asked again: its filter blocks the document"
	case codeTooLarge:
		same.Class = TooLong
		same.Message += ", also when asked again"
	case codeWhiteSpace:
		same.Class = TooLong
	default:
		return nil, false
	}
	return &same, true
}
