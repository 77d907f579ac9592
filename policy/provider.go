package policy

import (
	"maps"
	"slices"
)

// Provider is one identity provider of a practice. Kind says which of the fields apply.
type Provider struct {
	Kind  string `json:"kind" yaml:"kind"`   // oidc, saml
	Label string `json:"label" yaml:"label"` // the button's text

	Issuer       string            `json:"issuer,omitempty" yaml:"issuer,omitempty"`                    // oidc: https URL
	ClientID     string            `json:"client_id,omitempty" yaml:"client_id,omitempty"`              // oidc
	ClientSecret *SecretRef        `json:"client_secret,omitempty" yaml:"client_secret,flow,omitempty"` // oidc
	Scopes       []string          `json:"scopes,omitempty" yaml:"scopes,flow,omitempty"`               // oidc: openid among them
	Claims       map[string]string `json:"claims,omitempty" yaml:"claims,flow,omitempty"`               // oidc: email, name, roles → claim

	Metadata   *MetadataRef      `json:"metadata,omitempty" yaml:"metadata,flow,omitempty"`     // saml
	EntityID   string            `json:"entity_id,omitempty" yaml:"entity_id,omitempty"`        // saml: the provider's
	Attributes map[string]string `json:"attributes,omitempty" yaml:"attributes,flow,omitempty"` // saml: email, name, roles → attribute

	RoleMap  map[string]string `json:"role_map,omitempty" yaml:"role_map,flow,omitempty"`   // the provider's group → our role
	Domains  []string          `json:"domains,omitempty" yaml:"domains,flow,omitempty"`     // e-mail domains it may vouch for
	Accounts string            `json:"accounts,omitempty" yaml:"accounts,omitempty"`        // invited, jit
	TrustAMR []string          `json:"trust_amr,omitempty" yaml:"trust_amr,flow,omitempty"` // RFC 8176 values that count as a second factor
}

// SecretRef names a secret without holding it: a file below the practice's own secrets folder, or an entry of its vault.
// File is relative, so that a policy cannot send another file of the host to an issuer of its choosing.
type SecretRef struct {
	File  string `json:"file,omitempty" yaml:"file,omitempty"`
	Vault string `json:"vault,omitempty" yaml:"vault,omitempty"`
}

// MetadataRef says where SAML metadata comes from: an https URL, or a file below the practice's own secrets folder.
type MetadataRef struct {
	URL  string `json:"url,omitempty" yaml:"url,omitempty"`
	File string `json:"file,omitempty" yaml:"file,omitempty"`
}

func (p Provider) clone() Provider {
	p.ClientSecret = clonePointer(p.ClientSecret)
	p.Metadata = clonePointer(p.Metadata)
	p.Scopes = slices.Clone(p.Scopes)
	p.Claims = maps.Clone(p.Claims)
	p.Attributes = maps.Clone(p.Attributes)
	p.RoleMap = maps.Clone(p.RoleMap)
	p.Domains = slices.Clone(p.Domains)
	p.TrustAMR = slices.Clone(p.TrustAMR)
	return p
}
