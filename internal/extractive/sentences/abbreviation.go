package sentences

// The lists are switches so that they are constant. One list serves all languages, because a
// conflict between two languages is rarer than a document in two languages.

// isTitle lists, in lower case, abbreviations before a name or an explanation. They never end a
// sentence.
func isTitle(s string) bool {
	switch s {
	case "mr", "mrs", "ms", "messrs", "mme", "mmes", "mlle", "dr", "drs", "prof", "rev", "hon", "gen", "col",
		"capt", "cmdr", "lt", "sgt", "gov", "sen", "rep", "pres", "st", "ste", "mt", "ft",
		"hr", "fr", "frl", "dipl", "ing", "sr", "sra", "srta", "d", "dña", "ud", "uds",
		"sig", "sigg", "dott", "avv", "on", "exmo", "dra", "profa",
		"dhr", "mevr", "mw", "ds", "ir", "mgr", "inż", "hab", "ks", "św", "gm",
		"e.g", "i.e", "viz", "cf", "vs", "resp", "approx", "ca", "c.-à-d", "p.ex", "z.b", "d.h", "u.a", "z.t", "v.a", "o.g",
		"bzw", "vgl", "evtl", "ggf", "sog", "inkl", "zzgl", "insb", "bspw", "sogen", "v.chr", "p.ej", "es", "ad.es",
		"bijv", "d.w.z", "o.a", "m.b.t", "t.o.v", "t.ex", "bl.a", "d.v.s", "f.eks", "bl", "dvs", "fx", "np", "tzn", "tj", "m.in", "tzw", "ok", "pt":
		return true
	}
	return false
}

// isReference lists abbreviations before a number.
func isReference(s string) bool {
	switch s {
	case "fig", "figs", "tab", "sec", "sect", "ch", "chap", "eq", "eqs", "eqn", "thm", "prop", "def", "no", "nos", "nr", "núm", "num", "nº", "n", "vol", "vols",
		"p", "pp", "pg", "art", "par", "app", "ex", "exper", "obs", "ref", "refs", "ed", "eds", "abb", "kap", "bd", "aufl", "hg", "abs", "ziff",
		"pág", "págs", "cap", "fasc", "pag", "blz", "hfst", "rys", "str", "rozdz", "poz", "ust", "lib", "sid", "avsn", "ver", "v", "op", "cit", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec",
		"okt", "dez", "janv", "févr", "juil", "déc", "ene", "abr", "ago", "dic":
		return true
	}
	return false
}

// isAbbreviation lists abbreviations at any place, also at the end of a sentence.
func isAbbreviation(s string) bool {
	switch s {
	case "etc", "al", "inc", "ltd", "co", "corp", "bros", "dept", "est", "jr", "esq", "univ", "assn", "ave", "blvd", "rd", "govt", "intl",
		"ph.d", "a.m", "p.m", "min", "sec.s", "hrs", "max", "trans", "usw", "ff", "f", "mio", "mrd", "mill", "tsd", "std", "bsp", "geb", "gest", "verf", "anm", "jh", "jhd", "ges",
		"a.d", "b.c", "n.chr", "u.s.w", "u.ä", "o.ä", "u.v.m", "env", "éd", "ecc", "ss", "ca.d", "eds.s", "cía", "ltda", "s.a", "ee.uu", "ex.mo",
		"enz", "e.d", "e.v", "m.m", "osv", "mfl", "m.fl", "o.s.v", "o.l", "itd", "itp", "r", "w", "ul", "tys", "mln", "mld", "zł", "godz", "wg", "red":
		return true
	}
	return false
}

// isStarter lists capitalised function words. After an abbreviation they show that a new
// sentence begins (the frequent sentence starters of Kiss and Strunk 2006).
func isStarter(s string) bool {
	switch s {
	case "The", "This", "That", "These", "Those", "There", "Then", "They", "Their", "It", "Its", "In", "If", "We", "Our", "He", "His", "She", "Her", "I", "You",
		"An", "And", "As", "At", "All", "Although", "Another", "Both", "But", "By", "Each", "Even", "Finally", "First", "For", "From", "However", "Here", "How", "When", "Where",
		"While", "What", "Which", "Who", "Why", "With", "Without", "Since", "So", "Some", "Such", "Thus", "To", "Therefore", "On", "One", "Only", "Or", "Other", "Not", "No", "Now", "Most", "Many", "Moreover", "After", "Before", "Because", "During", "Until", "Under", "Yet",
		"Der", "Die", "Das", "Dies", "Diese", "Dieser", "Dieses", "Ein", "Eine", "Es", "Er", "Sie", "Wir", "Ich", "Und", "Aber", "Auch", "Auf", "Bei", "Für", "Im", "Mit", "Nach", "Nur", "Wenn", "Wie", "Von", "Zu", "Zum", "Zur", "Damit", "Dabei", "Doch", "Als", "Da",
		"Le", "La", "Les", "L", "Un", "Une", "Des", "Il", "Elle", "Ils", "Elles", "Ce", "Cette", "Ces", "Cet", "Dans", "Pour", "Par", "Mais", "Avec", "Sur", "Nous", "Vous", "Je",
		"El", "Los", "Las", "Una", "Este", "Esta", "Esto", "Estos", "Y", "Pero", "Con", "Por", "Para", "Según", "Cuando", "Como", "Se",
		"Lo", "Gli", "Questo", "Questa", "Nel", "Nella", "Ma", "Per", "Di", "È", "Uno", "Os", "Um", "Uma", "Isso", "Mas", "Em", "Ele", "Ela", "O", "Na",
		"De", "Het", "Een", "Dit", "Dat", "Deze", "Zij", "Ze", "Hij", "Wij", "Maar", "Ook", "Bij", "Voor", "Van", "Op",
		"Det", "Den", "Detta", "Denna", "En", "Ett", "Et", "Vi", "Jag", "Jeg", "Han", "Hon", "Hun", "Men", "Och", "Og", "På", "Med", "För", "Til", "Som", "När", "Når",
		"Ten", "Ta", "Te", "W", "Z", "Nie", "Jest", "Ale", "Po", "Do", "Dla", "Jednak", "Jego", "Jej":
		return true
	}
	return false
}

// isMonth lists, in lower case, months that follow an ordinal with a full stop
// ("am 3. Oktober"): German, and Danish or Norwegian when capitalised.
func isMonth(s string) bool {
	switch s {
	case "januar", "jänner", "februar", "märz", "april", "mai", "juni", "juli", "august", "september", "oktober", "november", "dezember",
		"marts", "mars", "maj", "december", "desember", "jahrhundert", "jahrhunderts", "auflage", "klasse", "kapitel", "mal", "weltkrieg", "weltkriegs":
		return true
	}
	return false
}
