package corpus

type pdfEngine struct{}

func (e *pdfEngine) close() error { return nil }
