package directory

// DiffTexts is diff, for tests.
var DiffTexts = diff
