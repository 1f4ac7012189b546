package text_test

import (
	"math"
	"strings"
	"testing"

	"github.com/gistmill/gistmill/internal/text"
)

func TestCountWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		want       int
	}{
		{"nothing", "", 0},
		{"space", " \n\t\u00a0\u3000", 0},
		{"punctuation and emoji", "… — *** 🙂 👩‍💻 ©", 0},
		{"invisible characters", "\u200b\u2060\ufeff\u00ad \u3164 \uffa0", 0},
		{"invalid bytes", "\xff\xfe", 0},
		{"English", "Three words here.", 3},
		{"an apostrophe", "Don’t, can't", 2},
		{"a hyphen is between two words", "well-known", 2},
		{"numbers", "1,203.50 kg in 2024", 4},
		{"a soft hyphen is within a word", "sum\u00admary", 1},
		{"a decomposed accent", "cafe\u0301", 1},
		{"a domain is one word", "example.com", 1},
		{"a table", "| a | b |\n|---|---|\n| 1 | 2 |", 4},
		{"German", "Die Donaudampfschifffahrtsgesellschaft ist groß", 4},
		{"Russian", "Это короткий текст", 3},
		{"Greek", "Αυτό είναι κείμενο", 3},
		{"Arabic", "هذا نص قصير جدا", 4},
		{"Hebrew with its own mark", "צה״ל הודיע", 2},
		{"Hindi", "यह एक छोटा पाठ है", 5},
		{"Korean", "이것은 짧은 글이다", 3},
		{"Ethiopic", "ይህ አጭር ጽሑፍ ነው", 4},
		{"Chinese: two letters are a word", "今天天气很好。", 3},
		{"Chinese: one letter", "好", 1},
		{"Chinese beyond the basic plane", "𠀀𠀁𠀂𠀃", 2},
		{"Japanese", "これは短い文です", 4},
		{"Katakana and its long vowel", "コンピューター", 4},
		{"narrow Katakana", "ｺﾝﾋﾟｭｰﾀｰ", 4},
		{"Thai", "นี่คือข้อความสั้น", 6},
		{"Lao", "ນີ້ແມ່ນຂໍ້ຄວາມ", 5},
		{"Khmer", "នេះជាអត្ថបទខ្លី", 5},
		{"Burmese", "ဒါကစာတိုပါ", 3},
		{"Chinese and English", "GPT 模型 and 数据", 4},
		{"digits of Thai are a number", "๑๒๓", 1},
	} {
		if got := text.CountWords(c.text, math.MaxInt); got != c.want {
			t.Errorf("%s: %d words, want %d", c.name, got, c.want)
		}
	}
}

// Only as much is read as decides whether a text is long enough.
func TestCountWordsStopsAtItsLimit(t *testing.T) { //nolint:paralleltest // AllocsPerRun
	long := strings.Repeat("word ", 1<<20)
	if n := testing.AllocsPerRun(10, func() {
		if got := text.CountWords(long, 5); got != 5 {
			t.Fatalf("%d words, want 5", got)
		}
	}); n > 2 {
		t.Errorf("%v allocations", n)
	}
	for limit := range 4 {
		if got := text.CountWords("one two", limit); got != min(limit, 2) {
			t.Errorf("limit %d: %d words", limit, got)
		}
	}
}
