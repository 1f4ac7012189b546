package checks

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// refusalRunes bounds a refusal, in characters. Models decline in a few sentences.
const refusalRunes = 1200

// openings are how models begin to decline, or to say that they got no document, in lower case and
// with plain apostrophes. Each is the beginning of a sentence in the first person, or asks for the
// text. Written for this package, from what models of several makers answer.
//
//nolint:gochecknoglobals // never changed
var openings = []string{
	// English
	"i'm sorry", "i am sorry", "i'm very sorry", "i'm really sorry", "i'm afraid i", "i am afraid i", "i apologize", "i apologise", "my apologies", "apologies, but i", "sorry, but i", "sorry, i ", "sorry, this is",
	"sorry, that", "sorry, we ", "i can't ", "i cannot ", "i can not ", "i won't ", "i will not ", "i'm unable", "i am unable", "i'm not able", "i am not able", "i'm not comfortable", "i am not comfortable",
	"i don't have access", "i do not have access", "i don't feel comfortable", "i must decline", "i have to decline", "i need to decline", "i respectfully decline", "i'd prefer not", "i'd rather not", "i must refuse", "i refuse to",
	"i do not see any", "i don't see any", "i didn't receive", "i did not receive",
	"unfortunately, i can", "unfortunately, i am", "unfortunately, i'm", "unfortunately i can", "unfortunately, i do", "unfortunately i am", "regrettably, i", "as an ai", "as a language model", "as a large language model", "as an artificial intelligence",
	"this request violates", "this content violates", "the request was rejected", "the content was flagged", "please provide the ", "please share the ", "please paste ", "please provide a ", "it looks like you haven't", "it seems you haven't",
	"it seems that you haven't", "it looks like there is no", "it appears that no ", "it appears no ", "you haven't provided", "you have not provided", "no text was provided", "no document was provided", "no content was provided", "there is no text provided",
	"there is no document provided", "request refused", "content blocked", "[refused", "[blocked", "i'm here to help, but", "let's talk about something else", "let's change the subject",
	// German
	"es tut mir leid", "tut mir leid", "leider kann ich", "leider darf ich", "leider bin ich", "ich kann dabei nicht", "ich kann ihnen dabei", "ich kann dir dabei", "ich kann ihnen nicht", "ich kann diese anfrage", "ich kann diesen text nicht",
	"ich kann das nicht", "ich kann nicht", "ich darf nicht", "ich bin nicht in der lage", "entschuldigung, aber ich", "ich bedaure", "als ki", "als sprachmodell", "bitte stellen sie", "bitte geben sie mir den", "ich muss ablehnen",
	// French
	"je suis désolé", "désolé, ", "désolée, ", "je regrette", "je ne peux pas", "je ne peux malheureusement", "je ne suis pas en mesure", "je m'excuse", "malheureusement, je ne", "en tant qu'ia", "en tant que modèle", "veuillez fournir",
	// Spanish
	"lo siento", "lo lamento", "no puedo ayud", "no puedo proporcionar", "no puedo resumir", "no puedo cumplir", "no puedo procesar", "no puedo generar", "lamentablemente, no puedo", "lamentablemente no puedo", "disculpa, ", "me disculpo", "como modelo de lenguaje",
	"como ia", "como inteligencia artificial", "por favor, envíe", "por favor, envía", "por favor, facilit", "no estoy en condiciones",
	// Portuguese
	"desculpe, ", "desculpa, ", "sinto muito", "lamento, ", "lamento, mas", "peço desculpa", "não posso ajudar", "não posso fornecer", "não posso resumir", "não consigo ajudar", "infelizmente, não posso", "infelizmente não posso", "como modelo de linguagem",
	"me desculpe",
	// Italian
	"mi dispiace", "mi spiace", "spiacente", "non posso aiutar", "non posso fornire", "non posso riassumere", "purtroppo non posso", "mi scuso", "come modello linguistico", "non sono in grado di",
	// Dutch, Scandinavian, Finnish
	"het spijt me", "sorry, maar ik", "helaas kan ik", "ik kan je hier", "ik kan u hier", "ik kan niet ", "ik ben niet in staat", "jag är ledsen", "tyvärr kan jag", "jag kan inte", "jag kan tyvärr", "förlåt, ", "jeg beklager", "beklager, ", "desværre kan jeg",
	"jeg kan ikke", "jeg kan desværre", "undskyld, ", "olen pahoillani", "valitettavasti en", "en voi auttaa", "en voi ",
	// Slavic languages, Hungarian, Romanian, Greek
	"przykro mi", "przepraszam, ", "niestety nie mogę", "niestety, nie mogę", "nie mogę pomóc", "nie jestem w stanie", "omlouvám se", "je mi líto", "bohužel nemohu", "nemohu pomoci", "nemôžem", "ľutujem", "prepáčte", "žao mi je", "nažalost, ne mogu",
	"извините", "простите", "прошу прощения", "приношу извинения", "к сожалению, я", "я не могу", "я не в состоянии", "как языковая модель", "вибачте", "на жаль, я", "я не можу", "перепрошую", "съжалявам", "за съжаление не мога", "извинявам се", "жао ми је",
	"sajnálom", "elnézést", "sajnos nem tud", "nem tudok segíteni", "îmi pare rău", "nu pot să", "din păcate, nu pot", "λυπάμαι", "συγγνώμη", "δυστυχώς δεν μπορώ", "δεν μπορώ να",
	// Turkish, Arabic, Hebrew, Persian, Hindi
	"üzgünüm", "özür dilerim", "maalesef", "bu konuda yardımcı olamam", "عذرا", "عذرًا", "عذراً", "آسف", "أنا آسف", "أعتذر", "لا أستطيع", "لا يمكنني", "للأسف، لا", "מצטער", "אני מצטער", "אני לא יכול", "סליחה", "متأسفم", "متاسفم", "ببخشید", "نمی\u200cتوانم", "मुझे खेद", "मुझे माफ", "क्षमा करें", "माफ़ करें", "मैं इसमें",
	// East and South-East Asian languages
	"抱歉", "很抱歉", "非常抱歉", "对不起", "對不起", "不好意思", "我无法", "我無法", "我不能", "无法为您", "作为一个ai", "作为ai", "作为人工智能", "作为一个人工智能", "您好，我无法", "你好，我无法", "请提供", "請提供",
	"申し訳", "すみません", "ごめんなさい", "恐れ入りますが", "残念ながら", "お答えできません", "죄송", "미안", "유감", "도와드릴 수 없", "xin lỗi", "rất tiếc", "tôi không thể", "maaf", "saya tidak dapat", "saya tidak bisa", "mohon maaf", "ขออภัย", "ขอโทษ", "ฉันไม่สามารถ",
}

// Refusal returns the opening with which a text declines to answer, or "". A text of more than some
// sentences is none, and neither is one whose opening the document has: a letter of apology may be
// quoted.
func Refusal(text, document string) string {
	text = strings.TrimLeftFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && r != '[' && r != '\u0939' })
	if utf8.RuneCountInString(text) > refusalRunes {
		return ""
	}
	said := plainText(text)
	for _, opening := range openings {
		if !strings.HasPrefix(said, opening) {
			continue
		}
		if strings.Contains(plainText(document), strings.TrimSpace(opening)) {
			continue
		}
		return strings.TrimSpace(opening)
	}
	return ""
}

// plainText returns a text in lower case, with plain apostrophes and single spaces.
func plainText(s string) string {
	s = strings.NewReplacer("’", "'", "‘", "'", "ʼ", "'", "`", "'", "*", "", "_", "", "#", "").Replace(strings.ToLower(s))
	return strings.Join(strings.Fields(s), " ") + " "
}

// refusal looks for an answer that declines. Only its first text counts: a field of an object may
// hold any words.
func (c *check) refusal() {
	if len(c.summary) == 0 {
		return
	}
	if opening := Refusal(c.summary[0], c.document.Text); opening != "" {
		c.add(Declined, c.summary[0], "the model declines, or says that it got no text")
	} else if IsPlaceholder(c.summary[0], c.document.Text) != No {
		c.add(Declined, c.summary[0], "the text only says that it is a summary")
	}
}
