package account_test

import (
	"errors"
	"strings"
	"testing"

	"clinicgate/gateway/account"
)

func TestCanonicalEmail(t *testing.T) {
	long := strings.Repeat("a", 64) + "@" + strings.Repeat(strings.Repeat("b", 61)+".", 3) + "ccc"
	for in, want := range map[string]string{
		"admin@harbour.test":             "admin@harbour.test",
		" \tAdmin@HARBOUR.Test\r\n":      "admin@harbour.test",
		"\u00a0admin@harbour.test\u2003": "admin@harbour.test",
		"first.last+tag@harbour.test":    "first.last+tag@harbour.test",
		"o'brien@harbour.test":           "o'brien@harbour.test",
		"a@localhost":                    "a@localhost",
		"a@zürich.test":                  "a@xn--zrich-kva.test",
		"a@ZÜRICH.test":                  "a@xn--zrich-kva.test",
		"a@zu\u0308rich.test":            "a@xn--zrich-kva.test",
		"a@xn--zrich-kva.test":           "a@xn--zrich-kva.test",
		long:                             long,
	} {
		if got, err := account.CanonicalEmail(in); err != nil || got != want {
			t.Errorf("%q: got %q, %v; want %q", in, got, err, want)
		}
	}
}

// THREATS O4: whatever looks like another address, or could be read as two.
func TestCanonicalEmailRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"empty":                       "",
		"no at":                       "admin",
		"nothing before":              "@harbour.test",
		"nothing after":               "admin@",
		"two at":                      "admin@acacia.test@harbour.test",
		"full-width at":               "admin＠harbour.test",
		"full-width domain":           "admin@ｈarbour.test",
		"full-width dot":              "admin@harbour．test",
		"ideographic dot":             "admin@harbour。test",
		"soft hyphen":                 "admin@har\u00adbour.test",
		"zero-width joiner":           "admin@har\u200dbour.test",
		"Kelvin sign":                 "\u212aim@harbour.test",
		"Kelvin sign in the domain":   "a@\u212aiosk.test",
		"Cyrillic a":                  "\u0430dmin@harbour.test",
		"dotless i":                   "adm\u0131n@harbour.test",
		"capital dotted I":            "ADM\u0130N@harbour.test",
		"long s":                      "\u017fam@harbour.test",
		"ligature in the domain":      "a@o\ufb03ce.test",
		"superscript in the domain":   "a@clinic\u00b2.test",
		"mixed direction":             "a@\u05d0a.test",
		"right-to-left override":      "a\u202eb@harbour.test",
		"accent":                      "ren\u00e9@harbour.test",
		"blank inside":                "ad min@harbour.test",
		"line break inside":           "admin\n@harbour.test",
		"header injection":            "admin@harbour.test\r\nX-User-Roles: practice_admin",
		"NUL":                         "admin\x00@harbour.test",
		"comma":                       "a,b@harbour.test",
		"quoted":                      `"a b"@harbour.test`,
		"comment":                     "admin(x)@harbour.test",
		"display name":                "Admin <admin@harbour.test>",
		"dot first":                   ".admin@harbour.test",
		"dot last":                    "admin.@harbour.test",
		"two dots":                    "ad..min@harbour.test",
		"domain dot last":             "admin@harbour.test.",
		"domain two dots":             "admin@harbour..test",
		"domain dot first":            "admin@.harbour.test",
		"domain with underscore":      "admin@har_bour.test",
		"address literal":             "admin@[127.0.0.1]",
		"port":                        "admin@harbour.test:25",
		"path":                        "admin@harbour.test/x",
		"hyphen first":                "admin@-harbour.test",
		"hyphen last":                 "admin@harbour-.test",
		"bad punycode":                "admin@xn--a.test",
		"punycode of ASCII":           "admin@xn--harbour-.test",
		"invalid UTF-8":               "admin\xff@harbour.test",
		"invalid UTF-8 in the domain": "admin@harbour\xff.test",
		"local part of 65":            strings.Repeat("a", 65) + "@harbour.test",
		"255 bytes":                   strings.Repeat("a", 64) + "@" + strings.Repeat(strings.Repeat("b", 61)+".", 3) + "cccc",
		"a megabyte":                  strings.Repeat("a", 1<<20) + "@harbour.test",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := account.CanonicalEmail(in)
			var field *account.FieldError
			if !errors.As(err, &field) || got != "" {
				t.Fatalf("%.100q became %q, %v", in, got, err)
			}
			if len(in) > 20 && strings.Contains(err.Error(), in) {
				t.Errorf("the error repeats what was typed: %v", err)
			}
		})
	}
}

func FuzzCanonicalEmail(f *testing.F) {
	for _, s := range []string{"admin@harbour.test", "A@Zürich.test", "admin@ｈarbour.test", "a@b@c", "", "a@xn--zrich-kva.test", "a@ß.test", "a@\u200d.x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := account.CanonicalEmail(s)
		if err != nil {
			return
		}
		if again, err := account.CanonicalEmail(got); err != nil || again != got {
			t.Errorf("%q became %q, which becomes %q, %v", s, got, again, err)
		}
		if len(got) > 254 || strings.Count(got, "@") != 1 || strings.Trim(got, printable) != "" {
			t.Errorf("%q became %q", s, got)
		}
	})
}

// printable are the characters that a canonical address may hold.
const printable = "abcdefghijklmnopqrstuvwxyz0123456789.@!#$%&'*+-/=?^_`{|}~"
