package login

import (
	"encoding/json"
	"net/http"
	"time"

	"clinicgate/modules/answer"
	"clinicgate/modules/exchange"
)

// sessionInfo is the JSON of GET /.gate/session.
type sessionInfo struct {
	Practice  string    `json:"practice"`
	Session   string    `json:"session_id"`
	User      userInfo  `json:"user"`
	Level     string    `json:"level"`
	Methods   []string  `json:"methods"`
	AuthTime  time.Time `json:"auth_time"`
	ExpiresAt time.Time `json:"expires_at"`
}

type userInfo struct {
	ID    string   `json:"id"`
	Email string   `json:"email"`
	Name  string   `json:"name"`
	Roles []string `json:"roles"`
}

// whoAmI is GET /.gate/session. Asking does not keep a session alive: a page that
// polls it must not hold a forgotten workstation open.
func (h *Handler) whoAmI(v *visit) error {
	live, err := v.session()
	switch {
	case err != nil:
		return v.undecided(err)
	case live == nil:
		return v.refuse(answer.SignInNeeded)
	}
	if refusal, _ := v.unmet(live); refusal != nil {
		return v.refuse(refusal)
	}
	record, person := live.Record(), live.Person()
	return v.json(sessionInfo{
		Practice: string(v.id()), Session: record.ID.String(), Level: live.Subject().Level.String(), Methods: record.AMR,
		User:     userInfo{ID: person.ID, Email: person.Email, Name: person.Name, Roles: person.Roles},
		AuthTime: exchange.AuthTime(live.Subject()), ExpiresAt: record.Created.Add(v.policy().Absolute()).UTC(),
	}, "no-store")
}

// keys is GET /.gate/jwks.json, the public keys of the assertions (RFC 7517).
func (h *Handler) keys(v *visit) error {
	return v.body("application/jwk-set+json", "public, max-age=300", h.core.Vault.Signing().JWKS())
}

// health is GET /.gate/health: up, and nothing else.
func (h *Handler) health(v *visit) error {
	return v.json(map[string]string{"status": "ok"}, "no-store")
}

// json writes a value.
func (v *visit) json(value any, cache string) error {
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return v.body("application/json", cache, append(body, '\n'))
}

// body writes an answer that is complete in memory.
func (v *visit) body(kind, cache string, body []byte) error {
	header := v.w.Header()
	header.Set("Content-Type", kind)
	header.Set("Cache-Control", cache)
	header.Set("X-Content-Type-Options", "nosniff")
	v.w.WriteHeader(http.StatusOK)
	_, _ = v.w.Write(body)
	return nil
}
