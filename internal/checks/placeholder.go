package checks

import (
	"slices"
	"strings"
	"unicode"
)

// Sureness is how sure a rule is.
type Sureness int

// No, perhaps, and certainly.
const (
	No Sureness = iota
	Perhaps
	Certain
)

// mostPlaceholderWords bounds a placeholder: "The summary of the text goes here."
const mostPlaceholderWords = 14

// placeholderWords are the words of texts in the place of a summary. One of the first list must be
// there, and one of the third makes it certain; Chinese and Japanese have whole texts.
//
//nolint:gochecknoglobals // never changed
var (
	placeholderWords = [3][]string{
		strings.Fields("summary summaries summarization string placeholder lorem ipsum todo tbd zusammenfassung platzhalter résumé resumen resumo riassunto samenvatting streszczenie резюме özet sammanfattning"),
		strings.Fields("a an the of this that your my our one is are be to in on for and or with as it text document content article passage here goes go insert write put add enter fill provide words word sentences sentence concise brief short clear complete final actual real example sample draft field value type output answer response json object description generated dolor sit amet consectetur adipiscing elit " +
			"n na none null undefined unknown test foo bar " +
			"der die das des dem den ein eine einer eines kurze kurzer text textes dokument dokuments hier einfügen steht ist von für " +
			"le la les un une du de texte document ici court el los del texto documento aquí breve corto do da dos das il lo testo documento qui van het een tekst tutaj tekstu текст текста документа здесь краткое metnin av texten"),
		strings.Fields("your here goes insert write put add enter fill provide placeholder lorem todo tbd einfügen steht platzhalter ici aquí qui tutaj здесь"),
	}
	placeholderTexts = strings.Fields("摘要 文本摘要 文档摘要 文章摘要 内容摘要 摘要内容 总结 这里是摘要 此处填写摘要 摘要文本 要約 要約文 テキストの要約 文書の要約 ここに要約 요약 텍스트요약 문서요약")
)

// IsPlaceholder reports whether all words of a text say only what a summary is: "string", "<your
// summary here>" certainly, "Summary of the text." perhaps. A text that the document has is none.
func IsPlaceholder(text, document string) Sureness {
	text = strings.TrimSpace(text)
	low := strings.ToLower(text)
	words := strings.FieldsFunc(low, func(r rune) bool { return !unicode.IsLetter(r) && r != '\'' })
	switch {
	case len(words) == 0 || strings.Contains(document, text):
		return No
	case strings.HasPrefix(low, "lorem ipsum dolor"), slices.Contains(placeholderTexts, strings.Join(words, "")):
		return Certain
	case len(words) > mostPlaceholderWords:
		return No
	}
	alone := []string{"text", "content", "value", "none", "null", "undefined", "na", "example", "test", "output", "answer", "response"}
	said, sure := len(words) == 1 && slices.Contains(alone, words[0]), len(words) == 1 || strings.ContainsRune("<[({", rune(text[0]))
	for _, w := range words {
		switch {
		case slices.Contains(placeholderWords[0], w):
			said = true
		case !slices.Contains(placeholderWords[1], w):
			return No
		}
		sure = sure || slices.Contains(placeholderWords[2], w)
	}
	switch {
	case !said:
		return No
	case sure:
		return Certain
	}
	return Perhaps
}
