package tpch

import "testing"

func TestSameAnswer(t *testing.T) {
	tests := []struct {
		name         string
		query        int
		ours, theirs string
		same         bool
	}{
		{"equal but for zeros", 6, "r\n1.5000\n", "r\n1.5\n", true},
		{"a sum one digit off", 6, "r\n123141078.2283\n", "r\n123141078.2284\n", false},
		{"a sum beyond a double", 6, "r\n55909065222827692.01\n", "r\n55909065222827692.02\n", false},
		{"a quotient within", 14, "r\n16.380778\n", "r\n16.3807786\n", true},
		{"a quotient beyond", 14, "r\n16.380778\n", "r\n16.38078\n", false},
		{"a quotient's key is exact", 8, "y,s\n1995,0.1\n", "y,s\n1996,0.1\n", false},
		{"text with a comma", 4, "p,n\n\"a,b\",1\n", "p,n\n\"a,b\",1\n", true},
		{"other text", 4, "p,n\na,1\n", "p,n\nb,1\n", false},
		{"a null alone", 17, "r\n\n", "r\r\n\"\"\r\n", true},
		{"no row, and a null", 17, "r\n", "r\n\n", false},
		{"a row less", 6, "r\n", "r\n1\n", false},
		{"another width", 6, "r\n1\n", "r,s\n1,2\n", false},
		{"nothing", 6, "", "", false},
		{"broken CSV", 6, "r\n\"1\n", "r\n1\n", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := SameAnswer(tt.query, tt.ours, tt.theirs); (err == nil) != tt.same {
				t.Errorf("got %v, want same %t", err, tt.same)
			}
		})
	}
}
