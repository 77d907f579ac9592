package stage

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/user"
	"strings"

	"clinicgate/gateway/loopback"
)

// StartNginx starts nginx as a plain TLS reverse proxy in front of backend.
func (s *Stage) StartNginx(ctx context.Context, backend string) (*Process, error) {
	addr, err := loopback.FreeAddr()
	if err != nil {
		return nil, err
	}
	conf, err := s.Write("front/nginx.conf", nginxHead(s.Dir+"/front", "on")+fmt.Sprintf(`
	upstream backend { server %s; keepalive 64; keepalive_requests 1000000000; }
	server {
		listen %s ssl http2;
		server_name %s;
		ssl_certificate %s;
		ssl_certificate_key %s;
		ssl_protocols TLSv1.2 TLSv1.3;
		location / {
			proxy_pass http://backend;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_set_header Host $host;
			proxy_set_header X-Forwarded-For $remote_addr;
			proxy_set_header X-Forwarded-Proto $scheme;
		}
	}
}
`, backend, addr, Host, s.Cert, s.Key))
	if err != nil {
		return nil, fmt.Errorf("writing nginx's configuration: %w", err)
	}
	return s.Start(ctx, "nginx", addr, "nginx", "-c", conf)
}

// ErrNoPeer says that a peer is not installed.
var ErrNoPeer = errors.New("not installed")

// apacheModules is where Debian keeps them.
const apacheModules = "/usr/lib/apache2/modules/"

// StartApache starts Apache with mod_auth_openidc in front of backend; op is the identity provider it trusts.
func (s *Stage) StartApache(ctx context.Context, backend string, op *Provider) (*Process, error) {
	if _, err := os.Stat(apacheModules + "mod_auth_openidc.so"); err != nil {
		return nil, fmt.Errorf("%w: libapache2-mod-auth-openidc", ErrNoPeer)
	}
	addr, err := loopback.FreeAddr()
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	for _, m := range []string{"mpm_event", "authn_core", "authz_core", "authz_user", "headers", "ssl", "socache_shmcb", "http2",
		"proxy", "proxy_http", "auth_openidc"} {
		fmt.Fprintf(&b, "LoadModule %s_module %smod_%s.so\n", m, apacheModules, m)
	}
	if os.Getuid() == 0 { // it refuses to serve as root
		if _, err := user.Lookup("www-data"); err == nil {
			b.WriteString("User www-data\nGroup www-data\n")
		}
	}
	_, port, _ := net.SplitHostPort(addr)
	fmt.Fprintf(&b, `ServerName %[1]s
Listen %[2]s
DefaultRuntimeDir %[3]s
PidFile %[3]s/apache.pid
ErrorLog /dev/stderr
LogLevel warn
StartServers 2
ThreadsPerChild 32
ServerLimit 2
MaxRequestWorkers 64
MinSpareThreads 32
MaxSpareThreads 64
MaxConnectionsPerChild 0
MaxKeepAliveRequests 0
KeepAliveTimeout 300
Protocols h2 http/1.1
SSLEngine on
SSLCertificateFile %[4]s
SSLCertificateKeyFile %[5]s
OIDCProviderIssuer %[6]s
OIDCProviderAuthorizationEndpoint %[6]s/authorize
OIDCProviderTokenEndpoint %[6]s/token
OIDCProviderJwksUri %[6]s/jwks
OIDCSSLValidateServer Off
OIDCProviderTokenEndpointAuth client_secret_basic
OIDCClientID %[7]s
OIDCClientSecret %[8]s
OIDCRedirectURI %[9]s
OIDCCryptoPassphrase %[8]s
OIDCScope "openid email"
OIDCSessionInactivityTimeout 3600
OIDCRemoteUserClaim email
<Location />
	AuthType openid-connect
	Require valid-user
</Location>
ProxyPass / http://%[10]s/ keepalive=On
`, Host, addr, s.Dir, s.Cert, s.Key, op.Issuer, op.ClientID, op.ClientSecret, "https://"+net.JoinHostPort(Host, port)+"/oidc/callback", backend)
	conf, err := s.Write("apache.conf", b.String())
	if err != nil {
		return nil, fmt.Errorf("writing Apache's configuration: %w", err)
	}
	return s.Start(ctx, "apache", addr, "apache2", "-f", conf, "-DFOREGROUND")
}

// SignInApache goes to the identity provider and back as a browser does and returns Apache's session cookie.
func (s *Stage) SignInApache(ctx context.Context, p *Process) (string, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", err
	}
	client := s.Client()
	client.Jar, client.CheckRedirect = jar, nil
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, URL(p.Addr, "/"), nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("Accept", "text/html")
	status, text, err := fetch(client, r)
	if err != nil || status != http.StatusOK || text != body {
		return "", fmt.Errorf("signing in at Apache: status %d: %w: %s", status, err, p.LogTail())
	}
	home, err := url.Parse(URL(p.Addr, "/"))
	if err != nil {
		return "", err
	}
	for _, c := range jar.Cookies(home) {
		if c.Name == "mod_auth_openidc_session" {
			return c.Name + "=" + c.Value, nil
		}
	}
	return "", errors.New("signing in at Apache: no session cookie")
}
