package forward

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"clinicgate/gateway/core"
	"clinicgate/gateway/directory"
	"clinicgate/gateway/session"
	"clinicgate/modules/exchange"
	"clinicgate/policy"
)

// assertionLife is the life of an assertion; one is made anew at half of it
// (DESIGN section 6).
const assertionLife = 60 * time.Second

// identity is what a session, or nobody, looks like to the backend: header values
// ready to be put into a request, shared by all its requests for half an
// assertion's life. It is immutable.
type identity struct {
	names   []string
	values  []string // as many
	renewAt time.Time
}

// identityHeaders is how many headers a session's identity has, aliases aside.
const identityHeaders = 10

// identify writes the headers of DESIGN section 6, each exactly once. The client's
// own were removed at the door; writing them here, after every other handler, is
// what keeps "Connection: X-Practice-Id" from removing ours (THREATS H1).
func (t *Transport) identify(h http.Header, x *exchange.Exchange, d policy.Decision) error {
	id, err := t.identityOf(x, d)
	if err != nil {
		return err
	}
	for i, name := range id.names {
		h[name] = id.values[i : i+1 : i+1]
	}
	h["X-Request-Id"] = []string{x.ID}
	return nil
}

// identityOf returns the prepared identity of the session or, for an anonymous
// request on a public path, of the practice.
func (t *Transport) identityOf(x *exchange.Exchange, d policy.Decision) (*identity, error) {
	now := t.core.Now()
	live := x.Live()
	if live == nil || d.Public() {
		slot := directory.SlotOf[identity](x.Practice)
		if id := slot.Load(); id != nil && now.Before(id.renewAt) {
			return id, nil
		}
		id, err := t.anonymous(x.Practice, now)
		if err == nil {
			slot.Store(id)
		}
		return id, err
	}
	view := live.View()
	if id := session.Prepared[identity](view); id != nil && now.Before(id.renewAt) {
		return id, nil
	}
	id, err := t.signedIn(x.Practice, live, view, now)
	if err == nil {
		session.Prepare(view, id)
		t.prepared.add(view, id)
	}
	return id, err
}

// claims are those of X-Gate-Assertion.
type claims struct {
	jwt.Claims
	Practice string           `json:"practice"`
	Name     string           `json:"name,omitempty"`
	Email    string           `json:"email,omitempty"`
	Roles    []string         `json:"roles,omitempty"`
	AMR      []string         `json:"amr,omitempty"`
	ACR      string           `json:"acr,omitempty"`
	AuthTime *jwt.NumericDate `json:"auth_time,omitempty"`
	SID      string           `json:"sid,omitempty"`
}

// anonymous prepares a public path's identity: the practice and an assertion that
// says so, no user (THREATS H2: an absent value is an absent header).
func (t *Transport) anonymous(p *directory.Practice, now time.Time) (*identity, error) {
	assertion, err := t.sign(claims{Claims: t.standard(p, now), Practice: string(p.ID)})
	if err != nil {
		return nil, err
	}
	id := newIdentity(now)
	t.add(id, "X-Practice-Id", string(p.ID))
	t.add(id, "X-Gate-Assertion", assertion)
	return id, nil
}

// newIdentity has room for all headers: of many sessions the garbage collector has to
// find every piece (docs/performance.md).
func newIdentity(now time.Time) *identity {
	return &identity{make([]string, 0, identityHeaders), make([]string, 0, identityHeaders), now.Add(assertionLife / 2)}
}

// add gives an identity a header under all its names. A value that is empty is an
// absent header.
func (t *Transport) add(id *identity, name, value string) {
	if value = headerSafe(value); value == "" {
		return
	}
	id.names, id.values = append(id.names, name), append(id.values, value)
	for _, alias := range t.core.AliasesOf(name) {
		id.names, id.values = append(id.names, alias), append(id.values, value)
	}
}

// signedIn prepares the identity of a session.
func (t *Transport) signedIn(p *directory.Practice, live *session.Live, view *session.View, now time.Time) (*identity, error) {
	record, person, subject := live.Record(), view.Person(), view.Subject()
	authTime := exchange.AuthTime(subject)
	c := claims{
		Claims: t.standard(p, now), Practice: string(p.ID), Name: person.Name, Email: person.Email, Roles: person.Roles,
		AMR: record.AMR, ACR: subject.Level.String(), AuthTime: jwt.NewNumericDate(authTime), SID: record.ID.String(),
	}
	c.Subject = person.ID
	assertion, err := t.sign(c)
	if err != nil {
		return nil, err
	}
	id := newIdentity(now)
	t.add(id, "X-Practice-Id", string(p.ID))
	t.add(id, "X-User-Id", person.ID)
	t.add(id, "X-User-Email", person.Email)
	t.add(id, "X-User-Name", person.Name)
	t.add(id, "X-User-Roles", strings.Join(person.Roles, ","))
	t.add(id, "X-Auth-Level", subject.Level.String())
	t.add(id, "X-Auth-Methods", strings.Join(record.AMR, ","))
	t.add(id, "X-Auth-Time", authTime.UTC().Format(time.RFC3339))
	t.add(id, "X-Session-Id", record.ID.String())
	t.add(id, "X-Gate-Assertion", assertion)
	return id, nil
}

// standard are the registered claims (RFC 7519 section 4.1).
func (t *Transport) standard(p *directory.Practice, now time.Time) jwt.Claims {
	return jwt.Claims{
		Issuer:   core.Issuer,
		Audience: jwt.Audience{"practice:" + string(p.ID)},
		IssuedAt: jwt.NewNumericDate(now),
		Expiry:   jwt.NewNumericDate(now.Add(assertionLife)),
	}
}

// sign makes the JWT (RFC 7519) with the key that is current now. The claims are
// encoded here: package jwt would encode, decode and encode them once more.
func (t *Transport) sign(c claims) (string, error) {
	kid, key := t.core.Vault.Signing().Current()
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", kid)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, options)
	if err != nil {
		return "", fmt.Errorf("signing the assertion: %v", err)
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encoding the assertion: %v", err)
	}
	token, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("signing the assertion: %v", err)
	}
	return token.CompactSerialize()
}

// headerSafe keeps a person's name from ending a header line or being read
// differently by a backend: control characters become blanks.
func headerSafe(s string) string {
	clean := strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	return strings.TrimSpace(clean)
}
