package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"clinicgate/config"
	"clinicgate/policy"
)

func examples(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("examples/*.yaml")
	if err != nil || len(files) < 4 {
		t.Fatalf("examples: %v, %v; want at least 4", files, err)
	}
	return files
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestEveryExampleStandsOnTheExamplePlatform(t *testing.T) {
	pf, err := config.DecodePlatform("platform.yaml", read(t, "platform.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range examples(t) {
		d, err := config.LoadDocument(file, read(t, file), pf)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if _, err := policy.Compile(d, pf); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if want := filepath.Base(file); string(d.Practice)+".yaml" != want {
			t.Errorf("%s holds practice %q", want, d.Practice)
		}
	}
}

func TestEncodedDocumentDecodesToTheSame(t *testing.T) {
	for _, file := range examples(t) {
		want, err := config.DecodeDocument(file, read(t, file))
		if err != nil {
			t.Fatal(err)
		}
		text, err := config.EncodeDocument(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := config.DecodeDocument(file, text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s\n%s", file, diff, text)
		}
		if again, _ := config.EncodeDocument(got); string(again) != string(text) {
			t.Errorf("%s is not written the same twice", file)
		}
	}
}
