package practice

// What the tests try without a running gateway.
var (
	HostOf         = hostOf
	CleanHeaders   = cleanHeaders
	TakeCookies    = takeCookies
	TooManyCookies = tooManyCookies
	Upgrade        = upgradeOf
	Target         = canonicalTarget
	ClientAddr     = clientAddr
	TellClient     = tellClient
)

// What Upgrade returns.
const (
	NoUpgrade     = noUpgrade
	GoodWebSocket = goodWebSocket
	BadUpgrade    = badUpgrade
	ForeignOrigin = foreignOrigin
)
