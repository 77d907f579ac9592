// Package demo fills an installation with what `gateway demo` shows: four practices
// and a few people of each, named by their role.
package demo

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pquerna/otp/totp"

	"clinicgate/config"
	"clinicgate/config/examples"
	"clinicgate/gateway/account"
	"clinicgate/gateway/core"
	"clinicgate/gateway/directory"
	"clinicgate/gateway/vault"
	"clinicgate/policy"
)

// Account is somebody to sign in as.
type Account struct {
	Email      string   `json:"email"`
	Password   string   `json:"password"`
	TOTPSecret string   `json:"totp_secret,omitempty"` // base32, when an authenticator app is set up
	Roles      []string `json:"roles"`
}

// Practice is one practice of the demo.
type Practice struct {
	ID       policy.PracticeID `json:"id"`
	URL      string            `json:"url"`
	Policy   policy.Document   `json:"policy"`
	Accounts []Account         `json:"accounts"`
}

// person is somebody that the demo makes.
type person struct {
	name, role string
	enrolled   bool
}

// cast is who works at the practices, by practice and in the order of the output.
var cast = []struct {
	practice string
	people   []person
}{
	{"harbour", []person{
		{"admin", "practice_admin", true}, {"clinician", "clinician", false},
		{"billing", "billing", true}, {"reviewer", "security_reviewer", true},
	}},
	{"banksia", []person{{"admin", "practice_admin", true}}},
	{"wattle", []person{{"admin", "practice_admin", true}}},
	{"acacia", []person{{"admin", "practice_admin", true}, {"clinician", "clinician", false}}},
}

// Seed makes practices and people in an empty installation. port is where the
// gateway will serve. upstream is the backend of all practices.
func Seed(ctx context.Context, c *core.Core, port, upstream string) ([]Practice, error) {
	var made []Practice
	for _, group := range cast {
		p, err := seedPractice(ctx, c, group.practice, port, upstream)
		if err != nil {
			return nil, fmt.Errorf("making practice %s: %w", group.practice, err)
		}
		for _, who := range group.people {
			a, err := seedPerson(ctx, c, p.ID, who)
			if err != nil {
				return nil, fmt.Errorf("making %s@%s: %w", who.name, group.practice, err)
			}
			p.Accounts = append(p.Accounts, a)
		}
		made = append(made, p)
	}
	return made, nil
}

// Point sends all practices to another backend, for a demo that starts again on
// state that it made before.
func Point(ctx context.Context, c *core.Core, port, upstream string) ([]Practice, error) {
	var found []Practice
	for _, group := range cast {
		p, err := seedPractice(ctx, c, group.practice, port, upstream)
		if err != nil {
			return nil, err
		}
		found = append(found, p)
	}
	return found, nil
}

func seedPractice(ctx context.Context, c *core.Core, id, port, upstream string) (Practice, error) {
	file := id + ".yaml"
	source, err := examples.Files.ReadFile(file)
	if err != nil {
		return Practice{}, err
	}
	doc, err := config.DecodeDocument(file, source)
	if err != nil {
		return Practice{}, err
	}
	doc.Upstreams = []string{upstream}
	applied, err := c.Directory.Apply(ctx, doc, directory.Author{Who: "demo", Why: "the demo's own practice"}, false)
	if err != nil {
		return Practice{}, err
	}
	if err := c.DB.CreateGeneration(ctx, doc.Practice, applied.Generation); err != nil {
		return Practice{}, err
	}
	return Practice{ID: doc.Practice, URL: address(doc.Hosts[0], port), Policy: doc}, nil
}

// address is where a host is reached when the gateway serves on port.
func address(host, port string) string {
	if port == "443" {
		return "https://" + host
	}
	return "https://" + host + ":" + port
}

// Keys are the addresses of the gateway's public keys, one on each practice's host.
func Keys(port string) (addresses []string) {
	for _, group := range cast {
		addresses = append(addresses, address(group.practice+".localhost", port)+"/.gate/jwks.json")
	}
	return addresses
}

func seedPerson(ctx context.Context, c *core.Core, id policy.PracticeID, who person) (Account, error) {
	a := Account{Email: fmt.Sprintf("%s@%s.test", who.name, id), Password: newPassword(), Roles: []string{who.role}}
	added, err := c.Accounts.Add(ctx, id, account.NewPerson{
		Email: a.Email, Name: strings.ToUpper(who.name[:1]) + who.name[1:], Roles: a.Roles, Password: vault.NewSecret(a.Password),
	})
	if err != nil || !who.enrolled {
		return a, err
	}
	enrolment, err := c.Accounts.BeginTOTP(ctx, id, added.ID, "Clinicgate demo", "")
	if err != nil {
		return a, err
	}
	a.TOTPSecret = enrolment.Secret.Reveal()
	// The code of the step before the current one: the current one stays good for a sign-in.
	code, err := totp.GenerateCode(a.TOTPSecret, c.Now().Add(-30*time.Second))
	return a, errors.Join(err, c.Accounts.ConfirmTOTP(ctx, id, added.ID, code))
}

// newPassword is random and can be typed: five groups of four letters and digits.
func newPassword() string {
	var raw [13]byte
	rand.Read(raw[:])
	text := strings.ToLower(base32.StdEncoding.EncodeToString(raw[:]))[:20]
	return text[:4] + "-" + text[4:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:]
}
