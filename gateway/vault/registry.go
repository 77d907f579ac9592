package vault

import (
	"context"

	"clinicgate/policy"
)

// registryKeys is the place of the registry's own key among those of the practices. No practice can have this id.
const registryKeys policy.PracticeID = ""

// Registry returns the keys for what the registry seals for all practices together, made when they are first asked
// for. They are no practice's.
func (v *Vault) Registry(ctx context.Context) (*Keys, error) { return v.keysOf(ctx, registryKeys) }
