// Package seed fills a gateway's state folder for a benchmark: practices, people with authenticator apps, and as many
// sessions as are asked for, through the gateway's own packages.
package seed

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"os"
	"path/filepath"
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

// Installation is a state folder that is being filled. Close it before the gateway starts on it.
type Installation struct {
	core  *core.Core
	files core.Files
}

// Person can sign in.
type Person struct {
	ID, Email, Password string
	Secret              string // of the authenticator app, base32
}

// Create makes a new installation in dir.
func Create(ctx context.Context, dir string) (*Installation, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the state folder: %w", err)
	}
	files := core.Files{State: dir, MasterKey: filepath.Join(dir, "master.key"), Platform: filepath.Join(dir, "platform.yaml")}
	if err := vault.CreateMasterKey(files.MasterKey); err != nil {
		return nil, err
	}
	if err := os.WriteFile(files.Platform, []byte("floor: {second_factor: off}\n"), 0o600); err != nil {
		return nil, fmt.Errorf("writing the platform document: %w", err)
	}
	options, err := core.ReadOptions(files)
	if err != nil {
		return nil, err
	}
	c, err := core.OpenTool(ctx, options)
	if err != nil {
		return nil, err
	}
	return &Installation{core: c, files: files}, nil
}

// Close closes the databases.
func (i *Installation) Close() error { return i.core.Close() }

// Core is the open installation.
func (i *Installation) Core() *core.Core { return i.core }

// Files are what the Caddyfile's clinicgate block names.
func (i *Installation) Files() core.Files { return i.files }

// Harbour is the demo's harbour practice, second factor enforced, on other hosts and with another backend.
func Harbour(upstream string, hosts ...string) (policy.Document, error) {
	const file = "harbour.yaml"
	text, err := examples.Files.ReadFile(file)
	if err != nil {
		return policy.Document{}, err
	}
	doc, err := config.DecodeDocument(file, text)
	doc.Hosts, doc.Upstreams = hosts, []string{upstream}
	return doc, err
}

// Apply makes the documents policies, and a database for each practice. say is called now and then.
func (i *Installation) Apply(ctx context.Context, docs []policy.Document, say func(done int)) error {
	const batch = 500
	by := directory.Author{Who: "benchmark", Why: "a practice to measure with"}
	for start := 0; start < len(docs); start += batch {
		var proposals []directory.Proposal
		for _, doc := range docs[start:min(start+batch, len(docs))] {
			proposals = append(proposals, directory.Proposal{Document: doc, Base: directory.Latest})
		}
		if _, err := i.core.Directory.ApplyAll(ctx, proposals, by, false); err != nil {
			return fmt.Errorf("applying practices: %w", err)
		}
		for _, p := range proposals {
			if err := i.core.DB.Create(ctx, p.Document.Practice); err != nil {
				return fmt.Errorf("making the database of %s: %w", p.Document.Practice, err)
			}
		}
		say(start + len(proposals))
	}
	return nil
}

// Practices makes n documents like doc, with ids and hosts of their own, hosts ending in domain.
func Practices(doc policy.Document, n int, domain string) []policy.Document {
	docs := make([]policy.Document, n)
	for k := range docs {
		id := fmt.Sprintf("practice-%05d", k)
		docs[k] = doc
		docs[k].Practice, docs[k].Name, docs[k].Hosts = policy.PracticeID(id), "Practice "+id, []string{id + domain}
	}
	return docs
}

// Add makes a person with a random password and an authenticator app.
func (i *Installation) Add(ctx context.Context, id policy.PracticeID, email, role string) (Person, error) {
	return i.add(ctx, id, Person{Email: email, Password: random()}, role)
}

// add stores a person with an authenticator app, and with a password if there is one.
func (i *Installation) add(ctx context.Context, id policy.PracticeID, p Person, role string) (Person, error) {
	added, err := i.core.Accounts.Add(ctx, id, account.NewPerson{
		Email: p.Email, Name: "Benchmark", Roles: []string{role}, Password: vault.NewSecret(p.Password),
	})
	if err != nil {
		return p, err
	}
	p.ID = added.ID
	enrolment, err := i.core.Accounts.BeginTOTP(ctx, id, p.ID, "Benchmark", "")
	if err != nil {
		return p, err
	}
	p.Secret = enrolment.Secret.Reveal()
	// The code of the step before: the present one stays good for signing in.
	code, err := totp.GenerateCode(p.Secret, time.Now().Add(-30*time.Second))
	if err != nil {
		return p, err
	}
	return p, i.core.Accounts.ConfirmTOTP(ctx, id, p.ID, code)
}

// random is a password nobody guesses.
func random() string {
	var raw [20]byte
	_, _ = rand.Read(raw[:]) // never fails
	return base32.StdEncoding.EncodeToString(raw[:])
}
