package vault

// ParseMasterID parses the text of a key file and returns the key's id.
func ParseMasterID(text []byte) (string, error) {
	m, err := parseMaster(text)
	if err != nil {
		return "", err
	}
	return m.id, nil
}
