package measure

// The parsers, for the tests.
var (
	ParseWrk    = parseWrk
	ParseH2load = parseH2load
)
