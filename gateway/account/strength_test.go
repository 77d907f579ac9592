package account_test

import (
	"crypto/sha1"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"clinicgate/gateway/account"
)

var ownWords = account.WordsOf("jordan.example@harbour.test", "Jordan Example-Person", "Harbour Family Practice", "harbour")

func TestPasswordRules(t *testing.T) {
	tests := map[string]struct{ password, says string }{ // says "" = accepted
		"four words":                    {goodPass, ""},
		"random":                        {"x7#Kd9!mQz2w", ""},
		"groups":                        {"k3vq-9d2m-xx7p-a1bz-t5ye", ""},
		"accents":                       {"Äpfel übergießen Öl Straße", ""},
		"Chinese":                       {"海邊的燈塔在夜裡發光的時候", ""},
		"twelve characters of 36 bytes": {"龘靐齉爩鱻麤灪龗厵滟爨癵", ""},
		"128 characters":                {goodPass + strings.Repeat("q7", 51) + "q", ""},

		"eleven characters":         {"x7#Kd9!mQz2", "it has 11 characters"},
		"eleven after composing":    {"x7#Kd9!mQze\u0301", "it has 11 characters"},
		"129 characters":            {goodPass + strings.Repeat("q7", 52), "too long"},
		"a megabyte":                {strings.Repeat("x7#Kd9!mQz2w", 1<<17), "too long"},
		"empty":                     {"", "it has 0 characters"},
		"one letter over and over":  {strings.Repeat("a", 30), "repeats"},
		"one accent over and over":  {strings.Repeat("é", 30), "repeats"},
		"a date over and over":      {strings.Repeat("1/2/99 ", 4), "repeats"},
		"a good piece repeated":     {strings.Repeat("x7#Kd9", 5), "repeats"},
		"common":                    {"password1234", "guessed"},
		"keyboard row":              {"qwertyuiop[]", "guessed"},
		"sequence":                  {"abcdefghijkl", "guessed"},
		"letters as digits":         {"P4$$w0rd1234", "guessed"},
		"practice and year":         {"harbour2030!!", "guessed"},
		"practice's words":          {"HarbourFamilyPractice", "guessed"},
		"practice's words accented": {"Hárbour Fâmily Pràctice", "guessed"},
		"own name":                  {"Jordan Example", "guessed"},
		"own name together":         {"jordanexample1", "guessed"},
		"own address":               {"jordan.example@harbour.test", "guessed"},
		"clinic words":              {"MedicalReception", "guessed"},
		"with a bell":               {goodPass + "\a", "cannot be typed"},
		"with a line break":         {goodPass + "\n", "cannot be typed"},
		"damaged":                   {goodPass + "\xff", "cannot be typed"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := account.NewPassword(tt.password, ownWords, nil)
			if tt.says == "" {
				if err != nil || got == "" {
					t.Errorf("refused: %v", err)
				}
				return
			}
			var field *account.FieldError
			if !errors.As(err, &field) || field.Field != "password" || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("got %v, want a refusal that says %q", err, tt.says)
			}
			if field.Remedy == "" || (len(tt.password) > 5 && strings.Contains(err.Error(), tt.password)) {
				t.Errorf("got %v, want a remedy and not the password", err)
			}
		})
	}
}

// Scoring must stay quick whatever is typed; this counts on the bounds, not on
// a clock: the worst inputs are run, and would take minutes without them.
func TestScoringIsBounded(t *testing.T) {
	leet := "4@8({[<3691!|70$5+%2"
	for _, s := range []string{
		strings.Repeat("a", 2000), strings.Repeat(leet, 6), strings.Repeat("p4$$w0rd1|7", 11),
		strings.Repeat("1/2/99 ", 18), strings.Repeat("é", 128), strings.Repeat("\u0301", 2000),
	} {
		account.Strength(s, ownWords)
	}
}

func FuzzPassword(f *testing.F) {
	for _, s := range []string{goodPass, "password1234", "é\u0301", "İstanbul lantern oboe", "\xff", strings.Repeat("4@8({[", 10), "1/2/99 "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := account.NewPassword(s, ownWords, nil)
		if err != nil {
			return
		}
		n := utf8.RuneCountInString(got)
		if n < 12 || n > 128 {
			t.Errorf("%q is accepted with %d characters", s, n)
		}
		if again, ok := account.CanonicalPassword(got); !ok || again != got {
			t.Errorf("%q is set as %q and signed in with as %q", s, got, again)
		}
		if typed, ok := account.CanonicalPassword(s); !ok || typed != got {
			t.Errorf("%q is set as %q and signed in with as %q", s, got, typed)
		}
	})
}

func TestBreachedList(t *testing.T) {
	var breached, other, hashes []string
	for i := range 3000 {
		p := fmt.Sprintf("Breached lantern oboe %d", i)
		breached = append(breached, p)
		other = append(other, p+"x")
		hashes = append(hashes, fmt.Sprintf("%X:%d", sha1.Sum([]byte(p)), i*i))
	}
	slices.Sort(hashes)
	bare := make([]string, len(hashes))
	for i, h := range hashes {
		bare[i] = strings.ToLower(h[:40])
	}
	for name, text := range map[string]string{
		"plain":                       strings.Join(breached, "\n"),
		"plain, Windows":              strings.Join(breached, "\r\n") + "\r\n",
		"sorted hashes with counts":   strings.Join(hashes, "\n") + "\n",
		"sorted hashes, Windows":      strings.Join(hashes, "\r\n") + "\r\n",
		"sorted hashes without end":   strings.Join(hashes, "\n"),
		"sorted hashes, small, plain": strings.Join(bare, "\n"),
	} {
		t.Run(name, func(t *testing.T) {
			b, err := account.OpenBreached(write(t, text))
			must(t, err)
			defer b.Close()
			for i := range breached {
				for p, want := range map[string]bool{breached[i]: true, other[i]: false} {
					if got, err := b.Contains(p); err != nil || got != want {
						t.Fatalf("Contains(%q) = %v, %v; want %v", p, got, err, want)
					}
				}
			}
		})
	}
}

func TestBreachedPasswordIsRefused(t *testing.T) {
	b, err := account.OpenBreached(write(t, goodPass+"\n"))
	must(t, err)
	for _, p := range []string{goodPass, strings.ToUpper(goodPass)} {
		if _, err := account.NewPassword(p, nil, b); err == nil || !strings.Contains(err.Error(), "stolen") {
			t.Errorf("%q: got %v", p, err)
		}
	}
	if _, err := account.NewPassword(goodPass+"s", nil, b); err != nil {
		t.Error(err)
	}
}

func TestBreachedListRefuses(t *testing.T) {
	a, b := strings.Repeat("A", 40), strings.Repeat("B", 40)
	for name, text := range map[string]string{
		"unsorted hashes":  strings.Repeat(b+"\n", 300) + strings.Repeat(a+"\n", 300),
		"hashes and text":  strings.Repeat(a+"\n", 100) + "password\n" + strings.Repeat(b+"\n", 100),
		"a very long line": "password\n" + strings.Repeat("x", 5000),
	} {
		t.Run(name, func(t *testing.T) {
			l, err := account.OpenBreached(write(t, text))
			if err == nil {
				_, err = l.Contains("anything at all")
				l.Close()
			}
			if err == nil {
				t.Error("the list is used as it is")
			}
		})
	}
	if _, err := account.OpenBreached(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a missing list is taken for an empty one")
	}
	empty, err := account.OpenBreached(write(t, ""))
	must(t, err)
	if found, err := empty.Contains(goodPass); found || err != nil {
		t.Errorf("an empty list: %v, %v", found, err)
	}
}

// A list that cannot be read any more refuses, and does not pass, passwords.
func TestUnreadableListRefuses(t *testing.T) {
	l, err := account.OpenBreached(write(t, strings.Repeat("A", 40)+"\n"))
	must(t, err)
	must(t, l.Close())
	if _, err := account.NewPassword(goodPass, nil, l); err == nil {
		t.Error("the password is accepted unchecked")
	}
}

func FuzzBreachedList(f *testing.F) {
	f.Add(strings.Repeat("A", 40)+":1\n"+strings.Repeat("B", 40)+":2\n", "x")
	f.Add("password\nletmein\n", "letmein")
	f.Add("\n\n\n", "")
	f.Add(strings.Repeat("A", 40)+"\n"+strings.Repeat("x", 500), "x")
	f.Fuzz(func(t *testing.T, text, password string) {
		b, err := account.OpenBreached(write(t, text))
		if err != nil {
			return
		}
		defer b.Close()
		_, _ = b.Contains(password) // no panic, no endless search
	})
}

func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "list")
	must(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}
