package login

import (
	"net/http"
	"time"

	"clinicgate/modules/practice"
)

// deviceLife is how long a browser is remembered as one that a person signed in from.
const deviceLife = 180 * 24 * time.Hour

// setCookie writes one of the gateway's cookies. life 0 makes it end with the
// browser; a negative life deletes it. The attributes are what the __Host- prefix
// demands, and no script reads any of them (THREATS C1).
func setCookie(w http.ResponseWriter, name, value string, life time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(life / time.Second),
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// dropCookie deletes one of the gateway's cookies.
func dropCookie(w http.ResponseWriter, name string) { setCookie(w, name, "", -time.Second) }

func setSessionCookie(w http.ResponseWriter, value string) {
	setCookie(w, practice.SessionCookie, value, 0)
}
