package core

import (
	"context"
	"net/textproto"

	"clinicgate/policy"
)

// SetPlatform takes a platform document that changed, on a config reload.
func (c *Core) SetPlatform(ctx context.Context, p policy.Platform) error {
	if err := c.Directory.SetPlatform(ctx, p); err != nil {
		return err
	}
	c.setAliases(p.HeaderAliases)
	c.retention.Store(int64(p.Retention.Audit))
	return nil
}

// setAliases takes the platform's header aliases, old backend names of identity
// headers, in canonical form.
func (c *Core) setAliases(aliases map[string]string) {
	a := &headerAliases{reserved: map[string]bool{}, of: map[string][]string{}}
	for alias, name := range aliases {
		alias, name = textproto.CanonicalMIMEHeaderKey(alias), textproto.CanonicalMIMEHeaderKey(name)
		a.reserved[alias] = true
		a.of[name] = append(a.of[name], alias)
	}
	c.aliases.Store(a)
}

type headerAliases struct {
	reserved map[string]bool
	of       map[string][]string
}

// ReservedAliases are the alias names, which clients may not send. Read only.
func (c *Core) ReservedAliases() map[string]bool { return c.aliases.Load().reserved }

// AliasesOf are the further names under which the identity header name is sent.
func (c *Core) AliasesOf(name string) []string { return c.aliases.Load().of[name] }

// Issuer is the "iss" of assertions and the realm of the gateway.
const Issuer = "clinicgate"
