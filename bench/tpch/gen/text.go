package gen

// officialTextBytes is how much text the specification's generator cuts comments from.
const officialTextBytes = 300 << 20

// longestSentence is more than any sentence has.
const longestSentence = 512

// newText makes size bytes of text that reads like English.
func newText(v *vocabulary, size int) string {
	t := textWriter{v: v, s: &stream{seed: 933588178}, b: make([]byte, 0, size+longestSentence)}
	for len(t.b) < size {
		t.sentence()
	}
	return string(t.b[:size])
}

type textWriter struct {
	v *vocabulary
	s *stream
	b []byte
}

func (t *textWriter) sentence() {
	for _, part := range t.v.sentences.draw(t.s) {
		switch part {
		case 'N':
			t.nounPhrase()
		case 'V':
			t.verbPhrase()
		case 'P':
			t.word(t.v.prepositions, " the ")
			t.nounPhrase()
		case 'T':
			t.b = t.b[:len(t.b)-1] // abuts the word before
			t.word(t.v.terminators, " ")
		}
	}
}

func (t *textWriter) nounPhrase() {
	for _, part := range t.v.nounPhrases.draw(t.s) {
		switch part {
		case 'N':
			t.word(t.v.nouns, " ")
		case 'J':
			t.word(t.v.adjectives, " ")
		case 'K':
			t.word(t.v.adjectives, ", ")
		case 'D':
			t.word(t.v.adverbs, " ")
		}
	}
}

func (t *textWriter) verbPhrase() {
	for _, part := range t.v.verbPhrases.draw(t.s) {
		switch part {
		case 'V':
			t.word(t.v.verbs, " ")
		case 'X':
			t.word(t.v.auxiliaries, " ")
		case 'D':
			t.word(t.v.adverbs, " ")
		}
	}
}

func (t *textWriter) word(from words, after string) {
	t.b = append(append(t.b, from.draw(t.s)...), after...)
}

// comments cuts texts of about an average length out of a long one; each takes two
// draws.
type comments struct {
	text              string
	shortest, longest int64
	s                 *stream
}

func newComments(text string, s *stream, average float64) comments {
	return comments{text: text, shortest: int64(average * 0.4), longest: int64(average * 1.6), s: s}
}

func (c comments) next() string {
	at := c.s.between(0, int64(len(c.text))-c.longest)
	return c.text[at : at+c.s.between(c.shortest, c.longest)]
}

const letters = "0123456789abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ,"

// An address has 10 to 40 letters, five from each draw: at most nine draws with the
// one for the length.
const addressDraws = 9

func appendAddress(b []byte, s *stream) []byte {
	var bits int64
	for i := range s.between(10, 40) {
		if i%5 == 0 {
			bits = s.bits()
		}
		b = append(b, letters[bits&63])
		bits >>= 6
	}
	return b
}

// appendPhone takes three draws; the first digits tell the nation.
func appendPhone(b []byte, s *stream, nation int64) []byte {
	b = append(appendPadded(b, 10+nation, 2), '-')
	b = append(appendPadded(b, s.between(100, 999), 3), '-')
	b = append(appendPadded(b, s.between(100, 999), 3), '-')
	return appendPadded(b, s.between(1000, 9999), 4)
}

// appendPadded appends a number with zeros in front.
func appendPadded(b []byte, n int64, width int) []byte {
	at := len(b)
	for range width {
		b = append(b, '0')
	}
	for i := len(b) - 1; i >= at; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
}
