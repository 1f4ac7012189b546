package extractive

import "testing"

func TestDetect(t *testing.T) {
	t.Parallel()
	for want, text := range map[string]string{
		"en": "The house on the hill was built by a man who had never been to the sea.",
		"de": "Das Haus auf dem Hügel wurde von einem Mann gebaut, der noch nie am Meer war.",
		"fr": "La maison sur la colline a été construite par un homme qui n'était jamais allé à la mer.",
		"es": "La casa de la colina fue construida por un hombre que nunca había estado en el mar.",
		"it": "La casa sulla collina è stata costruita da un uomo che non era mai stato al mare.",
		"pt": "A casa na colina foi construída por um homem que nunca tinha ido ao mar.",
		"nl": "Het huis op de heuvel werd gebouwd door een man die nog nooit aan zee was geweest.",
		"sv": "Huset på kullen byggdes av en man som aldrig hade varit vid havet och inte ville dit.",
		"da": "Huset på bakken blev bygget af en mand, der aldrig havde været ved havet og nu ikke ville derhen.",
		"no": "Huset på bakken ble bygget av en mann som aldri hadde vært ved sjøen og nå ikke ville dit.",
		"pl": "Dom na wzgórzu został zbudowany przez człowieka, który nigdy nie był nad morzem.",
		"":   "Ev tepede denizi hiç görmemiş bir adam tarafından yapıldı.",
	} {
		if got := detect([]candidate{{text: text}}).name; got != want {
			t.Errorf("%s taken for %q", text, got)
		}
	}
}

func TestLanguagesAreComplete(t *testing.T) {
	t.Parallel()
	if len(languages()) != 11 {
		t.Errorf("%d languages", len(languages()))
	}
	for _, l := range languages() {
		if len(l.stop) < 100 || len(l.backward) < 20 || len(l.pointers) < 5 {
			t.Errorf("%s: %d stop words, %d that refer back, %d pointers", l.name, len(l.stop), len(l.backward), len(l.pointers))
		}
	}
}
