package checks

import (
	"strings"
	"testing"
)

func TestRefusal(t *testing.T) {
	t.Parallel()
	const document = "The harbour of Wexley was rebuilt in 1994. Ferries leave every 40 minutes, and the fare is 12.50 crowns."
	for _, text := range []string{
		"I'm sorry, but I can't help with that.",
		"I’m sorry, I cannot assist with this request.",
		"**I cannot** summarize this document, because it has harmful content.",
		"\"I'm unable to process the text.\"",
		"Unfortunately, I can't provide a summary of this text.",
		"As an AI language model, I do not make summaries of such texts.",
		"It appears that no document was included. Please provide the text.",
		"Please provide the text that you would like me to summarize.",
		"Es tut mir leid, aber dabei kann ich nicht helfen.",
		"Leider kann ich diese Anfrage nicht beantworten.",
		"Je suis désolé, mais je ne peux pas vous aider.",
		"Lo siento, pero no puedo ayudar con eso.",
		"Desculpe, mas não posso ajudar com isso.",
		"Mi dispiace, ma non posso aiutarti.",
		"Het spijt me, maar daar kan ik niet bij helpen.",
		"Przykro mi, ale nie mogę w tym pomóc.",
		"Извините, я не могу помочь с этим.",
		"К сожалению, я не могу обработать этот текст.",
		"抱歉，我无法回答这个问题。",
		"很抱歉，我不能提供相关内容。",
		"申し訳ありませんが、お手伝いできません。",
		"죄송합니다. 도와드릴 수 없습니다.",
		"عذراً، لا أستطيع المساعدة في ذلك.",
		"Üzgünüm, bu konuda yardımcı olamam.",
		"Xin lỗi, tôi không thể giúp việc này.",
	} {
		got := Check(Document{Text: document}, []string{text}, Asked{})
		if len(got) == 0 || got[0].Check != Declined {
			t.Errorf("%q: %v", text, got)
		}
	}
	for text, source := range map[string]string{
		"The harbour was rebuilt in 1994, and the fare is 12.50 crowns.":                        document,
		"The company apologizes: it is sorry that it can't help with refunds.":                  document,
		"Unfortunately the ferries are late, the report says.":                                  document,
		"\"I'm sorry\" is how the letter begins; it explains why the writer could not come.":    "I'm sorry that I could not come to your party.",
		"I'm sorry, but " + strings.Repeat("the harbour was rebuilt and ", 60):                  document,
		"Im Hafen von Wexley kann ich nach der Reparatur wieder anlegen, schreibt der Kapitän.": document,
		"Maria cannot help with the pier, and asks for an apology.":                             document,
		"Apologies were demanded by the council.":                                               document,
		"": document,
		"Please note that the harbour is closed.": document,
	} {
		if got := Refusal(text, source); got != "" {
			t.Errorf("%q declines with %q", text, got)
		}
	}
}
