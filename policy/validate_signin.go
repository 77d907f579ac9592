package policy

import "slices"

func (c *checker) signIn(d *Document) {
	s := &d.SignIn
	if len(s.Methods) == 0 {
		c.add("sign_in.methods", "is missing", "name at least one of password, passkey, sso")
	}
	c.words("sign_in.methods", s.Methods, signInMethods)
	c.secondFactor(s)
	c.sso(d)
	c.phishing(d)
}

func (c *checker) secondFactor(s *SignInRules) {
	const field = "sign_in.second_factor"
	c.oneOf(field+".stage", string(s.SecondFactor.Stage), stageNames)
	c.words(field+".accept", s.SecondFactor.Accept, factorKinds)
	if s.SecondFactor.Stage != Off && len(s.SecondFactor.Accept) == 0 {
		c.add(field+".accept", "is empty, so nobody could ever meet the rule", "name totp, passkey or both")
	}
}

func (c *checker) sso(d *Document) {
	const field = "sign_in.sso"
	s := &d.SignIn.SSO
	c.oneOf(field+".stage", string(s.Stage), stageNames)
	onlySSO := len(d.SignIn.Methods) == 1 && d.SignIn.Methods[0] == "sso"
	inForce := s.Stage.Valid() && s.Stage != Off
	switch {
	case s.Provider != nil:
		c.knownProvider(field+".provider", *s.Provider, d)
	case inForce:
		c.add(field+".provider", "is missing while the stage is "+string(s.Stage), "name one of the providers")
	case onlySSO:
		c.add(field+".provider", "is missing while sso is the only way to sign in", "name one of the providers")
	}
	if inForce && !slices.Contains(d.SignIn.Methods, "sso") {
		c.add("sign_in.methods", "leaves out sso while sign_in.sso.stage is "+string(s.Stage), "add sso")
	}
	if s.Stage == Enforced && len(s.BreakGlass) == 0 {
		c.add(field+".break_glass", "is empty while the stage is enforced",
			"name at least one account that can still sign in when the provider is down")
	}
	c.list(field+".break_glass", s.BreakGlass, 10)
	for i, address := range s.BreakGlass {
		c.email(item(field+".break_glass", i), address)
	}
}

func (c *checker) phishing(d *Document) {
	const field = "sign_in.phishing_resistant"
	rule := &d.SignIn.PhishingResistant
	c.oneOf(field+".stage", string(rule.Stage), stageNames)
	c.knownRoles(field+".roles", rule.Roles, d)
	if !rule.Stage.Valid() || rule.Stage == Off {
		return
	}
	if len(rule.Roles) == 0 {
		c.add(field+".roles", "is empty while the stage is "+string(rule.Stage), "name the roles that the rule is for")
	}
	if !d.reachesPhishingResistant() {
		c.add(field+".stage", "asks for aal2-pr, which nobody can reach here", unreachableRemedy)
	}
}

const unreachableRemedy = "add passkey to sign_in.second_factor.accept"

// reachesPhishingResistant says whether some way to sign in can prove aal2-pr: a passkey, or a provider trusted for it.
func (d *Document) reachesPhishingResistant() bool {
	if slices.Contains(d.SignIn.Methods, "passkey") || slices.Contains(d.SignIn.SecondFactor.Accept, "passkey") {
		return true
	}
	for _, p := range d.Providers {
		if slices.Contains(p.TrustAMR, "hwk") {
			return true
		}
	}
	return false
}
