package checks_test

import (
	"strings"
	"testing"

	"github.com/gistmill/gistmill/internal/checks"
)

// furtherSamples are texts of two or three sentences in languages with near relatives.
var furtherSamples = map[string]string{
	"da":      "Biblioteket flytter til foråret, fordi lejemålet for kælderen udløber, og bestyrelsen har ikke besluttet, hvor bøgerne skal hen. Nogle af dem blev ødelagt af vand, og derfor vil de frivillige have et tørt sted til alle kasser. Jeg tror, at det kan blive dyrt.",
	"no":      "Biblioteket flytter til våren fordi leiekontrakten for kjelleren går ut, og styret har ikke bestemt hvor bøkene skal. Noen av dem ble ødelagt av vann, og derfor vil de frivillige ha et tørt sted til alle eskene. Jeg tror at det kan bli dyrt.",
	"cs":      "Knihovna se na jaře stěhuje, protože končí nájem sklepa, a výbor se ještě nerozhodl, kam knihy přijdou. Některé z nich byly poškozeny vodou, a proto dobrovolníci chtějí suché místo pro všechny krabice. Podle výboru to však není tak snadné, jak se zdá, a nebo jsou to jen slova, která který člen říká.",
	"sk":      "Knižnica sa na jar sťahuje, pretože sa končí nájom pivnice, a výbor sa ešte nerozhodol, kam knihy prídu. Niektoré z nich boli poškodené vodou, a preto dobrovoľníci chcú suché miesto pre všetky škatule. Podľa výboru to však nie je také ľahké, ako sa zdá, alebo sú to len slová.",
	"sl":      "Knjižnica se spomladi seli, ker se izteče najem kleti, in odbor še ni odločil, kam bodo knjige šle. Nekatere od njih so bile poškodovane z vodo, zato pa prostovoljci želijo suh prostor za vse škatle, ki so tudi pri nas lahko v kleti ali kot je bil prej.",
	"uk":      "Бібліотека переїжджає навесні, бо закінчується оренда підвалу, і правління ще не вирішило, куди підуть книги. Деякі з них були пошкоджені водою, але які саме, або чому це так, він також не знає, і тому шукають сухе місце для всіх коробок від підвалу за містом.",
	"bg":      "Библиотеката се мести през пролетта, защото свършва наемът на мазето, и управата още не е решила къде да отидат книгите. Част от тях са били повредени от вода, като това се случи и след наводнението, което беше до реката, а който иска, може да помогне.",
	"ca":      "La biblioteca es muda a la primavera perquè s'acaba el contracte del soterrani, i la junta encara no ha decidit on han d'anar els llibres. Alguns dels llibres van ser malmesos per l'aigua, però els voluntaris també volen un lloc sec per a totes les caixes amb els papers.",
	"gl":      "A biblioteca múdase na primavera porque remata o contrato do soto, e a xunta aínda non decidiu a onde van os libros. Algúns deles foron danados pola auga, e por iso os voluntarios queren un lugar seco para todas as caixas e tamén unha sala máis grande ao lado.",
	"af":      "Die biblioteek trek in die lente omdat die huur van die kelder verval, en die bestuur het nog nie besluit waar die boeke moet wees nie. Hulle was deur water beskadig, en daarom wil hulle 'n droë plek vir al die kaste hê wat nie nat sal word nie.",
	"fi":      "Kirjasto muuttaa keväällä, kun kellarin vuokrasopimus päättyy, ja hallitus ei ole vielä päättänyt, mihin kirjat menevät. Osa niistä on vaurioitunut vedessä, mutta se ei ole kaikki, ja myös hän oli sitä mieltä, että ne ovat tai olivat huonossa kunnossa kuin ennen, joka on sääli.",
	"et":      "Raamatukogu kolib kevadel, sest keldri rent lõpeb, ja juhatus ei ole veel otsustanud, kuhu raamatud lähevad. Osa neist on vees kahjustatud, aga see ei ole kõik, ning ka tema oli seda meelt, et mis on märg või halb, kui see nii on, mille pärast oma raamatuid ei või hoida.",
	"hu":      "A könyvtár tavasszal költözik, mert az pince bérlete lejár, és az elnökség még nem döntött arról, hogy a könyvek hova kerülnek. Egy részük már vízkárt szenvedett, ezért az önkéntesek száraz helyet szeretnének, ki is mondták, hogy ez nem volt jó, csak azt nem, hogy ha kell.",
	"ro":      "Biblioteca se mută în primăvară pentru că expiră contractul pivniței, iar consiliul nu a hotărât încă unde vor merge cărțile. Unele au fost stricate de apă, dar voluntarii vor un loc uscat pentru toate cutiile, care nu sunt mai multe decât au fost prin alte părți din oraș.",
	"tr":      "Kütüphane bahar ayında taşınıyor, çünkü bodrumun kira süresi bitiyor ve kurul kitapların nereye gideceğine henüz karar vermedi. Bir kısmı su ile zarar gördü, ancak gönüllüler bu kutular için daha kuru bir yer istiyor ve bu çok iyi olan bir yer değil ise de olarak kabul edildi.",
	"id":      "Perpustakaan akan pindah pada musim semi karena sewa ruang bawah tanah berakhir, dan dewan belum memutuskan tempat buku itu. Sebagian dari buku itu rusak oleh air, dan karena itu para sukarelawan ingin tempat yang lebih kering untuk semua kotak, atau bahwa mereka bisa menunggu.",
	"ms":      "Perpustakaan akan berpindah pada musim bunga kerana sewa bilik bawah tanah tamat, dan lembaga belum memutuskan tempat buku itu. Sebahagian daripada buku itu telah rosak oleh air, dan kerana itu sukarelawan ialah mereka yang mahu tempat kering untuk semua kotak kepada beliau, boleh juga bagi kanak-kanak.",
	"vi":      "Thư viện sẽ chuyển đi vào mùa xuân vì hợp đồng thuê tầng hầm kết thúc, và hội đồng chưa quyết định những cuốn sách này được đưa về đâu. Một số đã bị hư hỏng, và các tình nguyện viên muốn có một nơi khô cho tất cả các hộp của người dân ở trên.",
	"fa":      "کتابخانه در بهار جابجا می\u200cشود، چون اجاره زیرزمین به پایان می\u200cرسد و هیئت هنوز تصمیم نگرفته است که این کتاب\u200cها به کجا بروند. برخی از آن با آب آسیب دیده بود، اما داوطلبان برای خود یک جای خشک را می\u200cخواهند که در آن هم کتاب\u200cها باشد تا شد.",
	"ar":      "ستنتقل المكتبة في الربيع لأن عقد إيجار القبو ينتهي، ولم يقرر المجلس بعد إلى أين ستذهب الكتب. وقد تضرر بعضها من الماء في هذا العام، ولهذا يريد المتطوعون مكانا جافا على أن يكون بعيدا عن الماء، كما كان في السابق مع كل الصناديق.",
	"he":      "הספרייה עוברת באביב כי חוזה השכירות של המרתף מסתיים, והוועד עדיין לא החליט לאן ילכו הספרים. חלק מהם ניזוקו ממים, ולכן המתנדבים רוצים מקום יבש לכל הארגזים. זה לא קל, כי הוא גם יקר, אך יש מה לעשות עם זה, או אם לא, אז על כל אחד מהם.",
	"hi":      "पुस्तकालय वसंत में स्थानांतरित होगा क्योंकि तहखाने का पट्टा समाप्त हो रहा है और बोर्ड ने अभी तय नहीं किया है कि किताबें कहाँ जाएँगी। उनमें से कुछ पानी से खराब हो गई थीं, इस कारण स्वयंसेवक सभी डिब्बों के लिए एक सूखी जगह चाहते हैं जो पास में भी हो।",
	"zh-Hant": "圖書館將在春天搬家，因為地下室的租約即將到期，而董事會還沒有決定這些書應該放在哪裡。其中一些書被水損壞了，所以志願者們希望為所有的箱子找一個乾燥的地方。",
	"ta":      "அடித்தளத்தின் குத்தகை முடிவடைவதால் நூலகம் வசந்த காலத்தில் இடம் மாறுகிறது, மேலும் புத்தகங்கள் எங்கு செல்லும் என்று குழு இன்னும் முடிவு செய்யவில்லை.",
	"ka":      "ბიბლიოთეკა გაზაფხულზე გადადის, რადგან სარდაფის იჯარა მთავრდება, და გამგეობას ჯერ არ გადაუწყვეტია, სად წავა წიგნები.",
}

func TestDetectLanguage(t *testing.T) {
	t.Parallel()
	samples := map[string]string{}
	for code, text := range languageSamples {
		samples[code] = text
	}
	samples["zh-Hans"] = samples["zh"]
	delete(samples, "zh")
	for code, text := range furtherSamples {
		samples[code] = text
	}
	for code, text := range samples {
		if got := checks.DetectLanguage(text); got != code {
			t.Errorf("%s: %q", code, got)
		}
		// In a long text too, which is read in places.
		if got := checks.DetectLanguage(strings.Repeat(text+"\n", 64<<10/len(text))); got != code {
			t.Errorf("long %s: %q", code, got)
		}
	}
}

// A wrong language in a prompt is worse than none.
func TestDetectLanguageIsSilentInDoubt(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"empty":                        "",
		"short":                        "Die Katze ist im Haus.",
		"a heading":                    "The State of the Union in 2024",
		"names":                        strings.Repeat("Lufthansa Siemens Bayer Bosch Opel Audi Continental Michelin ", 10),
		"figures":                      strings.Repeat("2024;17,5;3;n/a\n", 50),
		"code":                         strings.Repeat("func (s *server) handle(w http.ResponseWriter, r *http.Request) { s.mu.Lock(); defer s.mu.Unlock() }\n", 20),
		"two languages":                languageSamples["en"] + " " + languageSamples["de"],
		"two, one after another":       strings.Repeat(languageSamples["fr"], 100) + strings.Repeat(languageSamples["nl"], 100),
		"three":                        languageSamples["es"] + languageSamples["en"] + languageSamples["it"],
		"two scripts":                  languageSamples["ru"] + " " + languageSamples["en"],
		"related, no words of its own": strings.Repeat("Det er en by på den side, og der har man ikke set det. ", 5),
		"Croatian or Serbian":          "Knjižnica se seli u proljeće jer ističe najam podruma, a odbor nije još odlučio kako i gdje će knjige biti. Neke od njih su oštećene vodom, te je za sve kutije nakon toga potrebno suho mjesto, koje bi moglo biti samo iz grada ili na selu, ali ne za one koji su prema odboru.",
		"filler text":                  strings.Repeat("Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor ut labore et dolore magna aliqua, quis nostrud ex ea commodo non proident. ", 4),
		"binary":                       strings.Repeat("\xff\xfe\x00", 100),
	} {
		if got := checks.DetectLanguage(text); got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// Terms, quotations and names in another language do not hide the language of a text.
func TestDetectLanguageWithForeignParts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"an English quotation":  {strings.Repeat(languageSamples["de"], 9) + languageSamples["en"], "de"},
		"English terms":         {strings.Repeat("数据库使用 PostgreSQL 和 Redis，这个系统会把所有任务从队列里取出来，然后写进数据库，并且让用户看见结果。", 3), "zh-Hans"},
		"French, with elisions": {"L'usine n'a pas fermé, à la surprise de l'État, qu'on disait d'accord. C'est à Lyon que s'ouvre l'enquête sur l'entreprise, d'après les élus de l'opposition, qui n'ont rien dit à ce sujet.", "fr"},
		"English names":         {strings.Repeat("Компания Google и фонд Mozilla не говорят, что будет с этим проектом, но для пользователей это было важно. ", 4), "ru"},
	} {
		if got := checks.DetectLanguage(c.text); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
