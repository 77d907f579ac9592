package vault_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"clinicgate/gateway/vault"
	yaml "go.yaml.in/yaml/v3"
)

const canary = "hunter2-canary"

func TestSecretIsMaskedHoweverItIsPrinted(t *testing.T) {
	s := vault.NewSecret(canary)
	type form struct {
		Password vault.Secret
		hidden   vault.Secret // fmt reaches into unexported fields without asking the value's methods
	}
	f := form{Password: s, hidden: s}
	render := map[string]func() (string, error){
		"json": func() (string, error) { b, err := json.Marshal(f); return string(b), err },
		"yaml": func() (string, error) { b, err := yaml.Marshal(f); return string(b), err },
		"xml":  func() (string, error) { b, err := xml.Marshal(f); return string(b), err },
		"gob": func() (string, error) {
			var b bytes.Buffer
			_ = gob.NewEncoder(&b).Encode(f)
			return b.String(), nil
		},
		"slog json": func() (string, error) {
			var b bytes.Buffer
			slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "form", f, "secret", s, "pointer", &s, "list", []vault.Secret{s})
			return b.String(), nil
		},
		"slog text": func() (string, error) {
			var b bytes.Buffer
			slog.New(slog.NewTextHandler(&b, nil)).Info("x", "form", f, "secret", s, "pointer", &s)
			return b.String(), nil
		},
		"template": func() (string, error) {
			var b strings.Builder
			err := template.Must(template.New("").Parse("{{.}} {{.Password}}")).Execute(&b, f)
			return b.String(), err
		},
		"error": func() (string, error) { return fmt.Errorf("with %w and %v", errors.New("x"), s).Error(), nil },
		"map":   func() (string, error) { return fmt.Sprint(map[string]any{"s": s, "p": &s, "f": &f}), nil },
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p", "%t"} {
		render[verb] = func() (string, error) { return fmt.Sprintf(verb+verb+verb+verb, s, &s, f, &f), nil }
	}
	for name, fn := range render {
		got, err := fn()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, leak := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), "104 117 110"} {
			if strings.Contains(got, leak) {
				t.Errorf("%s shows the secret: %s", name, got)
			}
		}
	}
}

func TestSecretCannotBeComparedByOperator(t *testing.T) {
	if reflect.TypeFor[vault.Secret]().Comparable() {
		t.Error("Secret is comparable")
	}
}

func TestSecretEqual(t *testing.T) {
	tests := []struct {
		name string
		a, b vault.Secret
		want bool
	}{
		{"same", vault.NewSecret("a"), vault.NewSecret("a"), true},
		{"different", vault.NewSecret("a"), vault.NewSecret("b"), false},
		{"prefix", vault.NewSecret("ab"), vault.NewSecret("a"), false},
		{"empty and empty", vault.Secret{}, vault.Secret{}, false},
		{"made empty", vault.NewSecret(""), vault.NewSecret(""), false},
		{"empty and full", vault.Secret{}, vault.NewSecret("a"), false},
	}
	for _, tt := range tests {
		if got := tt.a.Equal(tt.b); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestSecretIsNotReadFromADocument(t *testing.T) {
	var s vault.Secret
	if err := json.Unmarshal([]byte(`"[secret]"`), &s); err == nil || !s.IsEmpty() {
		t.Errorf("got %v, want a refusal", err)
	}
}
