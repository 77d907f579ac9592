package account_test

import (
	"strings"
	"testing"

	"clinicgate/gateway/account"
)

// The format is the argon2 reference program's; each hash has its own salt.
func TestPHCFormat(t *testing.T) {
	cost := account.HashParams{MemoryKiB: 64, Passes: 2, Lanes: 1}
	s := account.HashPHC(t, cost, "somebody", "password")
	if !strings.HasPrefix(s, "$argon2id$v=19$m=64,t=2,p=1$") || len(s) > 256 {
		t.Errorf("got %s", s)
	}
	if !account.PHCMatches(t, s, "somebody", "password") || account.PHCMatches(t, s, "somebody", "Password") {
		t.Errorf("%s does not tell passwords apart", s)
	}
	if again := account.HashPHC(t, cost, "somebody", "password"); again == s {
		t.Error("two hashes have one salt")
	}
}

// There is one spelling of a hash, and none that asks for more than it may.
func TestPHCRefuses(t *testing.T) {
	const salt, tag = "c29tZXNhbHRTT01FU0FMVA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	good := "$argon2id$v=19$m=64,t=2,p=1$" + salt + "$" + tag
	if _, err := account.ParsePHC(good); err != nil {
		t.Fatalf("%s: %v", good, err)
	}
	for name, s := range map[string]string{
		"empty":             "",
		"argon2i":           strings.Replace(good, "argon2id", "argon2i", 1),
		"old version":       strings.Replace(good, "v=19", "v=16", 1),
		"no version":        strings.Replace(good, "v=19$", "", 1),
		"1 TiB of memory":   strings.Replace(good, "m=64", "m=1073741824", 1),
		"memory overflow":   strings.Replace(good, "m=64", "m=4294967360", 1),
		"no memory":         strings.Replace(good, "m=64", "m=0", 1),
		"a million passes":  strings.Replace(good, "t=2", "t=1000000", 1),
		"no pass":           strings.Replace(good, "t=2", "t=0", 1),
		"many lanes":        strings.Replace(good, "p=1", "p=255", 1),
		"lanes overflow":    strings.Replace(good, "p=1", "p=257", 1),
		"leading zero":      strings.Replace(good, "m=64", "m=064", 1),
		"plus sign":         strings.Replace(good, "m=64", "m=+64", 1),
		"blank":             strings.Replace(good, "m=64", "m= 64", 1),
		"other order":       strings.Replace(good, "m=64,t=2", "t=2,m=64", 1),
		"one more":          strings.Replace(good, "p=1", "p=1,x=1", 1),
		"short salt":        strings.Replace(good, salt, "c29tZXNhbHQ", 1),
		"padded":            good + "=",
		"loose base64":      good[:len(good)-1] + "B",
		"short tag":         good[:len(good)-4],
		"trailing":          good + "$",
		"line break":        good + "\n",
		"line break inside": strings.Replace(good, salt, salt[:10]+"\n"+salt[10:], 1),
		"leading":           "x" + good,
		"long":              good + strings.Repeat("A", 300),
	} {
		t.Run(name, func(t *testing.T) {
			if again, err := account.ParsePHC(s); err == nil {
				t.Errorf("%q is accepted as %q", s, again)
			}
		})
	}
}

func FuzzPHC(f *testing.F) {
	f.Add("$argon2id$v=19$m=64,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY")
	f.Add("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRTT01FU0FMVA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add("$argon2id$v=19$m=64,t=1,p=1$$")
	f.Add("$2a$10$abcdefghijklmnopqrstuv")
	f.Fuzz(func(t *testing.T, s string) {
		if again, err := account.ParsePHC(s); err == nil && again != s {
			t.Errorf("%q is also written %q", s, again)
		}
	})
}

func TestDefaultCostIsWithinTheRecommendations(t *testing.T) {
	// OWASP: at least m=47104,t=1 or m=19456,t=2 or the like; 64 MiB at most, so
	// that as many as there are processors fit into memory.
	d := account.DefaultHash
	if d.Lanes != 1 || d.MemoryKiB > 64*1024 || !(d.MemoryKiB >= 47104 && d.Passes >= 1 || d.MemoryKiB >= 19456 && d.Passes >= 2) {
		t.Errorf("the default is %v", d)
	}
	weak := account.New(account.Options{}) // no parameters: the default, never none
	if got := account.ParamsOf(weak); got != d {
		t.Errorf("without parameters a service uses %v", got)
	}
}
