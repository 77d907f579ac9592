package audit

import "strings"

// withheld stands where a value looked like a credential.
const withheld = "[withheld]"

// secretWords are words of a detail key whose value is never kept. It is a net below
// the rule that callers do not pass secrets, not the rule itself.
var secretWords = map[string]bool{
	"password": true, "passwd": true, "pwd": true, "passphrase": true, "secret": true, "token": true,
	"cookie": true, "otp": true, "totp": true, "pin": true, "code": true, "authorization": true,
	"credential": true, "credentials": true, "assertion": true, "dsn": true, "key": true,
}

// plainWords end a key that speaks about a secret without holding it: "token_id".
var plainWords = map[string]bool{
	"id": true, "ids": true, "kind": true, "count": true, "name": true, "label": true, "age": true, "expires": true,
	"changed": true, "enrolled": true, "used": true, "stage": true,
}

// plainCodes are keys that end in "code" and hold none that lets anybody in.
var plainCodes = map[string]bool{"reason_code": true, "status_code": true, "error_code": true}

// secretShapes are beginnings by which a credential can be told (lower case).
var secretShapes = []string{
	"otpauth:", "$argon2", "-----begin ", "__host-gate", "age-secret-key-", "authorization:", "<saml", "<?xml",
	"client_secret=", "password=", "passwd=", "saml_response=", "samlresponse=", "recovery_code=", "id_token=", "access_token=", "refresh_token=",
}

// shapeWindow is how much of a value is looked at, in bytes. Nothing beyond it survives
// the bounds of a field: 256 runes are at most 1024 bytes.
const shapeWindow = 4 * MaxField

// withhold returns value, or [withheld] when its key or its shape says that it is a
// credential. The key is "" for a fixed field.
func withhold(key, value string) string {
	if value == "" || !secretKey(clip(key, MaxKey)) && !secretShape(value) {
		return value
	}
	return withheld
}

func secretKey(key string) bool {
	key = strings.ToLower(key)
	if plainCodes[key] {
		return false
	}
	words := strings.FieldsFunc(key, func(r rune) bool { return r == '_' || r == '-' || r == '.' || r == ' ' })
	if len(words) == 0 || plainWords[words[len(words)-1]] {
		return false
	}
	for _, word := range words {
		if secretWords[word] {
			return true
		}
	}
	return false
}

func secretShape(value string) bool {
	value = clip(value, shapeWindow)
	lower := strings.ToLower(value)
	if jwtShape(value) || strings.HasPrefix(lower, "bearer ") || strings.HasPrefix(lower, "basic ") {
		return true
	}
	for _, shape := range secretShapes {
		if strings.Contains(lower, shape) {
			return true
		}
	}
	return userinfo(value)
}

// jwtShape reports whether value holds a compact JWS or JWE: base64url of `{"`, then
// more of it, then a dot.
func jwtShape(value string) bool {
	for {
		_, rest, found := strings.Cut(value, "eyJ")
		if !found {
			return false
		}
		header := strings.TrimLeft(rest, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
		if len(rest)-len(header) >= 8 && strings.HasPrefix(header, ".") {
			return true
		}
		value = rest
	}
}

// userinfo reports whether value holds a URL with a password: scheme://user:password@host.
func userinfo(value string) bool {
	_, rest, found := strings.Cut(value, "://")
	if !found {
		return false
	}
	authority, _, _ := strings.Cut(rest, "/")
	user, _, found := strings.Cut(authority, "@")
	return found && strings.Contains(user, ":")
}
