package checks_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/gistmill/gistmill/internal/checks"
)

// found lists findings as "check: piece", without the length.
func found(source, summary string) []string {
	list := []string{}
	for _, f := range checks.Check(checks.Document{Text: source}, []string{summary}, checks.Asked{Language: checks.SameLanguage}) {
		if f.Check != checks.Length { // the texts here are short
			list = append(list, string(f.Check)+": "+f.Found)
		}
	}
	return list
}

func TestFacts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		source, summary string
		want            []string // empty: nothing
	}{
		"same number":            {"It cost 1,200 dollars.", "The cost was 1,200 dollars.", nil},
		"other number":           {"It cost 1,200 dollars.", "The cost was 1,300 dollars.", []string{"number: 1,300"}},
		"other locale":           {"Es kostete 1.203.400 Euro und 12,5 Prozent.", "It cost 1,203,400 euros and 12.5 percent.", nil},
		"thin and no spaces":     {"1 203 400 habitants, 1'500 francs, ٣٤٥ and １２.", "1203400 inhabitants, 1500 francs, 345 and 12.", nil},
		"grouped or decimal":     {"The rate is 1.234 and the sum 5,678.", "A rate of 1.234 and a sum of 5678.", nil},
		"lakh":                   {"A grant of 12,34,567 rupees.", "A grant of 1234567 rupees.", nil},
		"rounded to a unit":      {"The city has 1,203,400 inhabitants.", "The city has about 1.2 million inhabitants.", nil},
		"rounded wrongly":        {"The city has 1,203,400 inhabitants.", "The city has about 1.4 million inhabitants.", []string{"number: 1.4 million"}},
		"unit written out":       {"Revenue was $3.5bn, or 3500 million.", "Revenue was 3.5 billion.", nil},
		"unit in German":         {"Der Umsatz stieg auf 3,5 Mio. Euro.", "Revenue rose to 3.5 million euros.", nil},
		"unit in Chinese":        {"该市有120万人口。", "It has 1,200,000 inhabitants.", nil},
		"decimals cut":           {"Accuracy was 84.96 %.", "Accuracy was 85%.", nil},
		"decimals cut wrongly":   {"Accuracy was 84.36 %.", "Accuracy was 85%.", []string{"number: 85%"}},
		"share as percent":       {"Recall of 0.853 was reached.", "Recall reached 85.3 percent.", nil},
		"hedged":                 {"There were 1,580 visitors.", "More than 1,500 visitors came.", nil},
		"not hedged":             {"There were 1,580 visitors.", "Exactly 1,500 visitors came.", []string{"number: 1,500"}},
		"year is not rounded":    {"The house was built in 2013.", "The house was built in 2010.", []string{"number: 2010"}},
		"decade":                 {"It was built in 1994.", "It was built in the 1990s.", nil},
		"other decade":           {"It was built in 1984.", "It was built in the 1990s.", []string{"number: 1990"}},
		"short end of a range":   {"The war of 1914-1918.", "The war of 1914–18.", nil},
		"words for figures":      {"Twenty-five boats and three hundred people.", "25 boats and 300 people.", nil},
		"figures for words":      {"There were 25 boats and 12 crews.", "There were twenty-five boats and a dozen crews.", nil},
		"other word":             {"There were 25 boats.", "There were thirty-five boats.", []string{"number: thirty-five"}},
		"small count":            {"Bolts, nuts and screws.", "It lists three parts.", nil},
		"items are numbered":     {"Bolts and nuts.", "1. Bolts\n2. Nuts\n3) more [4]", nil},
		"version":                {"Update to 1.20.13 now.", "Update to 1.20.14 now.", []string{"number: 1.20.14"}},
		"long digits":            {"Call 12345678901234567890 now.", "Call 12345678901234567891 now.", []string{"number: 12345678901234567891"}},
		"number with letters":    {"A cable of 5km and 16GB.", "A cable of 5 km and 16 GB.", nil},
		"number in a word":       {"The H2O level.", "The H2O level.", nil},
		"forms of a date":        {"Signed on 2024-03-05.", "Signed on 5 March 2024, on March 5th, 2024, on 5.3.2024 and on 05/03/2024.", nil},
		"date in words":          {"Signed on March 5th, 2024.", "Signed on 2024-03-05 and 5.3.24.", nil},
		"date in German":         {"Unterzeichnet am 5. März 2024.", "Signed on 5 March 2024.", nil},
		"date in Spanish":        {"Firmado el 5 de marzo de 2024.", "Signed on March 5, 2024.", nil},
		"date in Japanese":       {"2024年3月5日に署名された。", "Signed on March 5, 2024.", nil},
		"date in Russian":        {"Подписано 5 марта 2024 года.", "Signed on 5 March 2024.", nil},
		"other day":              {"Signed on 5 March 2024.", "Signed on 6 March 2024.", []string{"date: 6 March 2024"}},
		"other month":            {"Signed on 5 March 2024, read on 7 April 2024.", "Signed on 5 April 2024.", []string{"date: 5 April 2024"}},
		"other year":             {"Signed on 5 March 2024. Read in 2025.", "Signed on 5 March 2025.", []string{"date: 5 March 2025"}},
		"year apart":             {"Minutes of 2024. On 5 March they met.", "They met on 5 March 2024.", nil},
		"part of a date":         {"Signed on 5 March 2024.", "Signed in March 2024, in March.", nil},
		"weekday":                {"They met on Monday.", "They met on Tuesday.", []string{"date: Tuesday"}},
		"may is no month":        {"They can do it.", "They may do it in 2 ways.", []string{"number: 2"}},
		"names":                  {"Ada Lovelace met Charles Babbage in London.", "In London, Charles Babbage met Ada Lovelace.", nil},
		"other name":             {"Ada Lovelace met Charles Babbage.", "Then Ada Lovelace met Charles Darwin.", []string{"name: Charles Darwin"}},
		"names mixed up":         {"Ada Lovelace wrote it. Years later, in another town and in other times, came Charles Babbage.", "It was written by Charles Lovelace.", []string{"name: Charles Lovelace"}},
		"name the other way":     {"Lovelace, Ada: Notes.", "The notes are by Ada Lovelace.", nil},
		"genitive and plural":    {"Newton and the Treebank.", "It is about Newton's Treebanks.", nil},
		"name with a number":     {"Parsers trained on WSJ15.", "Parsers are trained on the WSJ.", nil},
		"demonym":                {"A treaty with Iran.", "The Iranian treaty.", nil},
		"diacritics":             {"It was in Zürich with José.", "It was in Zurich with Jose.", nil},
		"acronym explained":      {"The World Health Organization said so.", "So said the WHO.", nil},
		"acronym spelled out":    {"The WHO said so.", "So said the World Health Organization.", nil},
		"acronym in the summary": {"The European bank of issue.", "The European Central Bank (ECB) is the issuer.", []string{"name: European Central Bank"}},
		"other acronym":          {"The WHO said so.", "So said the FBI.", []string{"name: FBI"}},
		"first word of sentence": {"He went out.", "Critics say so. Observers too.", nil},
		"heading":                {"He went out.", "## Key Points\n\n**Main Result:** he went out", nil},
		"German nouns":           {"Der Hund lief.", "Der Hund lief durch die Stadt und über das Feld, und die Katze war nicht dabei, und es ist auch ein Vogel da.", nil},
		"declined":               {"Он был в Москве, и это было не так просто, как они хотели, но он и не хотел.", "Это было в городе Москва, и он был там, и это было не так просто, как они хотели.", nil},
		"joined":                 {"The Data-Base of Open AI.", "On the DataBase and OpenAI.", nil},
		"quotation":              {"She said: “We will   go\nhome, today.”", "She said \"We will go home today\" and »we … home« and “[they] will go”.", nil},
		"invented quotation":     {"She said: “We will go home.”", "She said “We will never go home.”", []string{"quote: We will never go home."}},
		"part of a word":         {"The party is over.", "They call it \"art\".", []string{"quote: art"}},
		"apostrophes":            {"It's the dogs' house.", "It's the dogs' house, isn't it?", nil},
		"single quotation":       {"He called it a great day.", "He called it ‘a great day’ and 'a bad day'.", []string{"quote: a bad day"}},
		"inches":                 {"A screen of 24 in.", `A 24" screen, not a 24" tube.`, nil},
		"Japanese quotation":     {"彼は今日行くと言った。", "「今日行く」「明日行く」", []string{"quote: 明日行く"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.want == nil {
				c.want = []string{}
			}
			if diff := cmp.Diff(c.want, found(c.source, c.summary)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatTheModelWasGivenBesides(t *testing.T) {
	t.Parallel()
	d := checks.Document{Text: "The board met and agreed.", Around: []string{"Minutes of Foo Corporation, 5 March 2024: \"a long day\" with 45 points"}}
	if got := checks.Check(d, []string{"Then the Foo Corporation agreed on 5 March 2024 on 45 points after \"a long day\"."}, checks.Asked{}); got != nil && got[0].Check != checks.Length {
		t.Error(got)
	}
}

func TestLength(t *testing.T) {
	t.Parallel()
	many := func(n int) string { return strings.Repeat("word ", n) }
	for name, c := range map[string]struct {
		source, summary, asked int
		want                   string
	}{
		"as asked":                    {1000, 150, 150, ""},
		"a third more":                {1000, 200, 150, ""},
		"a third less":                {1000, 100, 150, ""},
		"much more":                   {5000, 400, 150, "400 words: asked for 150"},
		"much less":                   {5000, 20, 150, "20 words: asked for 150"},
		"little more than few":        {1000, 30, 10, ""},
		"short document":              {60, 12, 150, ""},
		"longer than the document":    {100, 150, 150, "150 words: longer than the document, which has 100 words"},
		"as long as a short document": {20, 25, 150, ""},
		"not known what was asked":    {5000, 400, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ""
			for _, f := range checks.Check(checks.Document{Text: many(c.source)}, []string{many(c.summary)}, checks.Asked{Words: c.asked}) {
				if f.Check == checks.Length {
					got = f.Found + ": " + f.Message
				}
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// languageSamples are the same text in many languages.
var languageSamples = map[string]string{
	"en": "The library will move in the spring because the lease of the cellar ends, and the board has not yet decided where the books are to go. Some of them were damaged by water, which is why the volunteers want a dry place for all of the boxes.",
	"de": "Die Bücherei zieht im Frühjahr um, weil der Mietvertrag für den Keller endet, und der Vorstand hat noch nicht entschieden, wohin die Bücher kommen. Einige von ihnen wurden durch Wasser beschädigt, und deshalb wollen die Helfer einen trockenen Ort für alle Kisten.",
	"fr": "La bibliothèque va déménager au printemps parce que le bail de la cave prend fin, et le conseil n'a pas encore décidé où les livres doivent aller. Certains ont été abîmés par l'eau, et c'est pour cette raison que les bénévoles veulent un lieu sec pour toutes les caisses.",
	"es": "La biblioteca se muda en primavera porque termina el contrato del sótano, y la junta no ha decidido todavía adónde irán los libros. Algunos de ellos fueron dañados por el agua, y por eso los voluntarios quieren un lugar seco para todas las cajas.",
	"it": "La biblioteca si trasferisce in primavera perché il contratto della cantina finisce, e il consiglio non ha ancora deciso dove andranno i libri. Alcuni di essi sono stati danneggiati dall'acqua, ed è per questo che i volontari vogliono un luogo asciutto per tutte le casse.",
	"pt": "A biblioteca vai mudar na primavera porque o contrato da cave termina, e a direção ainda não decidiu para onde vão os livros. Alguns deles foram danificados pela água, e é por isso que os voluntários querem um lugar seco para todas as caixas.",
	"nl": "De bibliotheek verhuist in het voorjaar omdat de huur van de kelder afloopt, en het bestuur heeft nog niet besloten waar de boeken naar toe gaan. Een deel ervan werd door water beschadigd, en daarom willen de vrijwilligers een droge plek voor alle dozen.",
	"sv": "Biblioteket flyttar till våren eftersom hyreskontraktet för källaren löper ut, och styrelsen har inte bestämt vart böckerna ska ta vägen. En del av dem har skadats av vatten, och därför vill de som hjälper till ha en torr plats för alla lådor.",
	"pl": "Biblioteka przenosi się na wiosnę, ponieważ kończy się umowa najmu piwnicy, a zarząd nie zdecydował jeszcze, do którego miejsca trafią książki. Część z nich została zniszczona przez wodę i dlatego ochotnicy chcą, żeby to było suche miejsce dla wszystkich pudeł, ale nie jest to takie proste.",
	"ru": "Библиотека переезжает весной, так как кончается аренда подвала, и правление ещё не решило, куда пойдут книги. Часть из них была повреждена водой, и за это отвечает подвал, который был сырым, но помощники не хотят ждать и ищут сухое место для всех коробок.",
	"zh": "图书馆将在春天搬家，因为地下室的租约即将到期，而董事会还没有决定这些书应该放在哪里。其中一些书被水损坏了，所以志愿者们希望为所有的箱子找一个干燥的地方。",
	"ja": "地下室の賃貸契約が終わるため、図書館は春に引っ越しますが、本をどこに移すかを理事会はまだ決めていません。一部の本は水で傷んでしまったので、ボランティアはすべての箱のために乾いた場所を望んでいます。",
	"ko": "지하실 임대 계약이 끝나기 때문에 도서관은 봄에 이사하지만 이사회는 책을 어디로 옮길지 아직 결정하지 않았습니다. 일부 책은 물에 젖어 손상되었기 때문에 자원봉사자들은 모든 상자를 위한 마른 장소를 원합니다.",
	"ar": "ستنتقل المكتبة في الربيع لأن عقد إيجار القبو ينتهي، ولم يقرر المجلس بعد إلى أين ستذهب الكتب. وقد تضرر بعضها من الماء، ولهذا يريد المتطوعون مكانا جافا لجميع الصناديق.",
	"el": "Η βιβλιοθήκη μετακομίζει την άνοιξη επειδή λήγει το μισθωτήριο του υπογείου, και το συμβούλιο δεν έχει αποφασίσει ακόμη πού θα πάνε τα βιβλία. Μερικά από αυτά έπαθαν ζημιά από το νερό.",
	"he": "הספרייה עוברת באביב כי חוזה השכירות של המרתף מסתיים, והוועד עדיין לא החליט לאן ילכו הספרים. חלק מהם ניזוקו ממים, ולכן המתנדבים רוצים מקום יבש לכל הארגזים.",
}

func TestLanguage(t *testing.T) {
	t.Parallel()
	for from, source := range languageSamples {
		for to, summary := range languageSamples {
			t.Run(from+" "+to, func(t *testing.T) {
				t.Parallel()
				got := ""
				for _, f := range checks.Check(checks.Document{Text: source}, []string{summary}, checks.Asked{Language: checks.SameLanguage}) {
					if f.Check == checks.Language {
						got = f.Found + ": " + f.Message
					}
				}
				want := to + ": the document is in " + from
				if from == to {
					want = ""
				}
				if got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			})
		}
	}
}

func TestLanguageUnsure(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ source, summary string }{
		"too short":       {languageSamples["en"], "Ein Umzug im Frühjahr."},
		"names only":      {languageSamples["en"], strings.Repeat("Lufthansa Siemens Bayer Bosch Opel Audi Continental ", 4)},
		"figures":         {"1 2 3 4 5 6 7 8", languageSamples["de"]},
		"related":         {strings.Repeat("Det er en by på den anden side af åen, og der har man ikke set noget. ", 3), strings.Repeat("Det er en by på den andre siden av elven, og der har man ikke sett noe. ", 3)},
		"half and half":   {languageSamples["en"] + languageSamples["de"], languageSamples["de"]},
		"not to be known": {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, f := range checks.Check(checks.Document{Text: c.source}, []string{c.summary}, checks.Asked{Language: checks.SameLanguage}) {
				if f.Check == checks.Language {
					t.Error(f)
				}
			}
		})
	}
}

func TestTranslationAsked(t *testing.T) {
	t.Parallel()
	if got := checks.Check(checks.Document{Text: languageSamples["de"]}, []string{languageSamples["en"][:130]}, checks.Asked{}); len(got) > 0 {
		t.Errorf("a translation that was asked for: %v", got)
	}
}

func TestCoverage(t *testing.T) {
	t.Parallel()
	topics := []string{"harbour crane coal ship pilot buoy", "orchard apple cider blossom ladder basket", "railway signal whistle tender boiler track",
		"glacier crevasse moraine icefall rope summit", "opera tenor chorus curtain aria orchestra", "bakery dough sourdough oven crust flour"}
	var text strings.Builder
	for _, topic := range topics {
		text.WriteString(strings.Repeat("The "+topic+" and what they do there. ", 6000/len(topic)/2))
	}
	whole := "Cranes aside, a harbour with coal and a pilot, an orchard with apple and cider, a railway with its boiler and signal, a glacier with a moraine and a rope, an opera with chorus and aria, a bakery with dough and flour."
	first := "A harbour has a crane for coal, a ship and its pilot stay near the buoy, and the orchard has apple, cider, blossom, ladder and basket there."
	of := func(summary string) string {
		for _, f := range checks.Check(checks.Document{Text: text.String()}, []string{summary}, checks.Asked{}) {
			if f.Check == checks.Coverage {
				return f.Found + " " + f.Message
			}
		}
		return ""
	}
	if got := of(whole); got != "" {
		t.Errorf("summary of the whole: %s", got)
	}
	if got := of(first); !strings.HasPrefix(got, "43% of 7 equal parts") || !strings.HasSuffix(got, ": 4, 5, 6, 7") {
		t.Errorf("summary of the beginning: %q", got)
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 100 {
		fmt.Fprintf(&b, "and %d7, ", i+100)
	}
	b.WriteString("“" + strings.Repeat("\x1b[31m long\u202e \x00\n", 100) + "”")
	got := checks.Check(checks.Document{Text: "x"}, []string{b.String()}, checks.Asked{})
	if len(got) != checks.Most || got[len(got)-1].Check != checks.More || got[len(got)-1].Found != "83" {
		t.Errorf("%d findings, the last %v", len(got), got[len(got)-1])
	}
	one := checks.Check(checks.Document{Text: "x"}, []string{"say “" + strings.Repeat("\x1b[31m long\u202e \x00\n", 100) + "”"}, checks.Asked{})
	for _, f := range one {
		sane(t, f)
	}
	if len(one) != 3 {
		t.Error(one)
	}
	if raw := string(checks.JSON(nil)); raw != "[]" {
		t.Errorf("no findings are %s", raw)
	}
	if raw, want := string(checks.JSON(one[2:])), `[{"check":"quote","found":"[31m long`; !strings.HasPrefix(raw, want) {
		t.Errorf("%s", raw)
	}
}

func sane(t *testing.T, f checks.Finding) {
	t.Helper()
	if utf8.RuneCountInString(f.Found) > 80 || len(f.Message) > 200 || f.Message == "" || !utf8.ValidString(f.Found) {
		t.Errorf("%+v", f)
	}
	for _, r := range f.Found + f.Message {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			t.Errorf("%q has %U", f, r)
		}
	}
}

// A check ends in time for any repetition in a summary: the number of searches is bounded, and
// each reads the text once.
func TestHostileSummaries(t *testing.T) {
	t.Parallel()
	for _, piece := range []string{"„", ` "a`, "1. ", "A ", "Ab ", "# Ab Bc ", "1 234", "1.1.", "May 5 ", "„a[", "ABC ", "1", "中", "5年", "hundred ", "\n**A ", "“a…b…” "} {
		t.Run(piece, func(t *testing.T) {
			t.Parallel()
			s := strings.Repeat(piece, 1<<17/len(piece))
			got := checks.Check(checks.Document{Text: s}, []string{s}, checks.Asked{Words: 100, Language: checks.SameLanguage})
			got = append(got, checks.Check(checks.Document{Text: strings.Repeat("x y 7 Zz ", 1<<12)}, []string{s}, checks.Asked{Words: 100})...)
			if len(got) == 0 {
				t.Error("no finding: these summaries are far too long")
			}
			for _, f := range got {
				sane(t, f)
			}
		})
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("It cost 1,200 on 5 March 2024.", "It cost “1.300” on 2024-03-06, said Ada Lovelace of the BBC.", 10)
	f.Add(languageSamples["zh"]+"2024年3月5日", "「今日」 120万 12,34,567 1.2.3 '90s 1914–18 5th of", 1)
	f.Add("\xff\xfe1,\xff", "\"\xff\" ’’ ‘a’ [[ ... 1'2 0x 00000000000000000000 May 5", 0)
	f.Fuzz(func(t *testing.T, source, summary string, words int) {
		d := checks.Document{Text: source, Around: []string{summary[:len(summary)/2]}}
		got := checks.Check(d, []string{summary, source}, checks.Asked{Words: words, Language: checks.SameLanguage})
		if len(got) > checks.Most {
			t.Errorf("%d findings", len(got))
		}
		for _, x := range got {
			sane(t, x)
		}
		if !json.Valid(checks.JSON(got)) {
			t.Error("no JSON")
		}
		if again := checks.Check(d, []string{summary, source}, checks.Asked{Words: words, Language: checks.SameLanguage}); !cmp.Equal(got, again) {
			t.Error("not the same twice")
		}
	})
}

// book is a real text of 567 KB.
func book(tb testing.TB) string {
	tb.Helper()
	root, err := exec.CommandContext(tb.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		tb.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "src", "testdata", "Isaac.Newton-Opticks.txt"))
	if err != nil {
		tb.Fatal(err)
	}
	return string(data)
}

// BenchmarkCheck measures a summary without findings, and one with a name, a number, a date and a
// quotation that the text does not have. The latter takes every search of the text.
func BenchmarkCheck(b *testing.B) {
	text := book(b)
	for _, size := range []int{2 << 10, 26 << 10, 500 << 10, 64 << 20} {
		source := text[20_000:]
		if size > len(source) {
			source = strings.Repeat(source, size/len(source)+1)
		}
		d := checks.Document{Text: source[:size]}
		clean := strings.Join(strings.Fields(d.Text)[20:80], " ")
		for name, summary := range map[string]string{
			"clean":   clean,
			"flagged": clean + " On 5 March 1999 Ada Lovelace of the XKCD paid 4,711 pounds for “an invented quotation”.",
		} {
			b.Run(fmt.Sprintf("%dKB/%s", size>>10, name), func(b *testing.B) {
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					checks.Check(d, []string{summary}, checks.Asked{Words: 60, Language: checks.SameLanguage})
				}
			})
		}
	}
}

// The text may have what a check looks for a million times, or nearly have it.
func TestCheckIsLinear(t *testing.T) {
	t.Parallel()
	for name, unit := range map[string]string{
		"numbers": "1,2", "digits": "7", "groups": "1 000 ", "points": "1.", "percent": "5% ", "names": "Ada Lovelace ", "initials": "A. B. ", "capitals": "A",
		"quotes": "“", "apostrophes": "'", "quoted": "\"a\" ", "dates": "5 March ", "years": "1914–", "slashes": "1/2/", "spaces": " ", "joined": "a-", "cjk": "年5月", "marks": "e\u0301",
	} {
		took := func(n int) time.Duration {
			text := strings.Repeat(unit, n/len(unit))
			summary := text[:min(len(text), 4<<10)] + " On 5 March 1999 Ada Lovelace of the XKCD paid 4,711 pounds for “an invented quotation”."
			start := time.Now()
			checks.Check(checks.Document{Text: text}, []string{summary}, checks.Asked{Words: 100, Language: checks.SameLanguage})
			return time.Since(start)
		}
		// Quadratic work would take 256 times as long for 16 times the text.
		if small, big := took(1<<15), took(1<<19); big > 80*small+5*time.Second {
			t.Errorf("%s: %v for 32 KiB, %v for 512 KiB", name, small, big)
		}
	}
}
