package policy

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

var (
	providerKinds = []string{"oidc", "saml"}
	accountModes  = []string{"invited", "jit"}
	profileFields = []string{"email", "name", "roles"}
	// trustable are the RFC 8176 values that can stand for a second factor.
	trustable = []string{"mfa", "mca", "hwk", "swk", "otp", "fpt", "face", "iris", "retina", "vbm", "pin", "sc", "sms", "tel"}
)

func (c *checker) providers(d *Document) {
	if len(d.Providers) > maxProviders {
		c.add("providers", fmt.Sprintf("has %d entries, more than the %d that are read", len(d.Providers), maxProviders),
			"remove some")
		return
	}
	for _, name := range slices.Sorted(maps.Keys(d.Providers)) {
		field := "providers." + name
		if !isLabel(name) || len(name) > 40 {
			c.add("providers", quote(name)+" is not a provider's name", "write 1 to 40 of a to z, 0 to 9 and inner hyphens")
			continue
		}
		c.provider(field, d.Providers[name], d)
	}
}

func (c *checker) knownProvider(field, name string, d *Document) {
	if _, ok := d.Providers[name]; ok {
		return
	}
	names := slices.Sorted(maps.Keys(d.Providers))
	remedy := "describe it under providers"
	if near := Nearest(name, names); near != "" {
		remedy = "did you mean " + near + "?"
	}
	c.add(field, quote(name)+" is not one of the providers", remedy)
}

func (c *checker) provider(field string, p Provider, d *Document) {
	c.text(field+".label", p.Label, 60)
	if c.oneOf(field+".kind", p.Kind, providerKinds) {
		if p.Kind == "oidc" {
			c.oidc(field, p)
		} else {
			c.saml(field, p)
		}
	}
	if len(p.RoleMap) > 500 {
		c.add(field+".role_map", "has more than 500 entries", "remove some")
	}
	for _, group := range slices.Sorted(maps.Keys(p.RoleMap)) {
		c.knownRole(field+".role_map."+group, p.RoleMap[group], d)
	}
	c.list(field+".domains", p.Domains, 100)
	for i, domain := range p.Domains {
		c.host(item(field+".domains", i), domain)
	}
	if c.oneOf(field+".accounts", p.Accounts, accountModes) && p.Accounts == "jit" && len(p.Domains) == 0 {
		c.add(field+".domains", "is empty while accounts is jit, so the provider could make an account for any address",
			"name the e-mail domains it may vouch for")
	}
	c.words(field+".trust_amr", p.TrustAMR, trustable)
}

func (c *checker) oidc(field string, p Provider) {
	c.httpsURL(field+".issuer", p.Issuer)
	if p.ClientID == "" || len(p.ClientID) > 255 || strings.ContainsFunc(p.ClientID, isHidden) {
		c.add(field+".client_id", "is missing or unreadable", "write the id that the provider gave you")
	}
	if p.ClientSecret == nil {
		c.add(field+".client_secret", "is missing", "name it as {file: NAME} or {vault: NAME}")
	} else {
		c.secret(field+".client_secret", *p.ClientSecret)
	}
	c.list(field+".scopes", p.Scopes, 20)
	if !slices.Contains(p.Scopes, "openid") {
		c.add(field+".scopes", "leaves out openid", "add openid")
	}
	c.profile(field+".claims", p.Claims)
	c.absent(field, "an oidc provider", map[string]bool{"metadata": p.Metadata != nil, "entity_id": p.EntityID != "",
		"attributes": len(p.Attributes) > 0})
}

func (c *checker) saml(field string, p Provider) {
	switch m := p.Metadata; {
	case m == nil || (m.URL == "") == (m.File == ""):
		c.add(field+".metadata", "names not exactly one source", "write {url: https://…} or {file: NAME}")
	case m.URL != "":
		c.httpsURL(field+".metadata.url", m.URL)
	default:
		c.relativeFile(field+".metadata.file", m.File)
	}
	if p.EntityID == "" || len(p.EntityID) > 1024 || strings.ContainsFunc(p.EntityID, isHidden) {
		c.add(field+".entity_id", "is missing or unreadable", "write the provider's entity id, as its metadata has it")
	}
	c.profile(field+".attributes", p.Attributes)
	c.absent(field, "a saml provider", map[string]bool{"issuer": p.Issuer != "", "client_id": p.ClientID != "",
		"client_secret": p.ClientSecret != nil, "scopes": len(p.Scopes) > 0, "claims": len(p.Claims) > 0})
}

// absent refuses fields of the other kind: they would look as if they meant something.
func (c *checker) absent(field, kind string, set map[string]bool) {
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if set[name] {
			c.add(field+"."+name, "is not a field of "+kind, "remove it")
		}
	}
}

// profile wants to know where the address comes from, and nothing else than what is read.
func (c *checker) profile(field string, names map[string]string) {
	if names["email"] == "" {
		c.add(field+".email", "is missing", "name where the e-mail address comes from")
	}
	for _, key := range slices.Sorted(maps.Keys(names)) {
		if c.oneOf(field+"."+key, key, profileFields) && (names[key] == "" && key != "email" || len(names[key]) > 255) {
			c.add(field+"."+key, "is empty or too long", "write a name, or leave the field out")
		}
	}
}

func (c *checker) secret(field string, ref SecretRef) {
	switch {
	case (ref.File == "") == (ref.Vault == ""):
		c.add(field, "names not exactly one place", "write {file: NAME} or {vault: NAME}")
	case ref.File != "":
		c.relativeFile(field+".file", ref.File)
	case !isLabel(ref.Vault) || len(ref.Vault) > 60:
		c.add(field+".vault", quote(ref.Vault)+" is not a name", "write a to z, 0 to 9 and inner hyphens")
	}
}

// relativeFile keeps a policy's files inside the practice's own folder: an absolute path would send any file of the host
// to whatever issuer the same policy names.
func (c *checker) relativeFile(field, name string) {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	if len(name) > 100 || strings.Trim(name, allowed) != "" || strings.HasPrefix(name, ".") {
		c.add(field, quote(name)+" is not a file name", "write the name alone; it is looked for in the practice's secrets folder")
	}
}

// httpsURL wants an absolute https URL with nothing in it that two parsers could read differently.
func (c *checker) httpsURL(field, value string) {
	u, err := url.Parse(value)
	switch {
	case value == "":
		c.add(field, "is missing", "write an https URL")
		return
	case err != nil || u.Scheme != "https" || u.Host == "" || u.Opaque != "" || len(value) > 1024:
		c.add(field, quote(value)+" is not an https URL", "write it as https://login.example.org/…")
		return
	case u.User != nil || u.Fragment != "" || strings.ContainsAny(value, "\\#"):
		c.add(field, quote(value)+" holds a user, a fragment or a backslash", "write only host and path")
		return
	}
	host := u.Hostname()
	if _, err := netip.ParseAddr(host); err == nil {
		return // reaching inward is refused where the connection is made
	}
	if reason, remedy := hostFault(host); reason != "" {
		c.add(field, quote(host)+" "+reason, remedy)
	}
}
