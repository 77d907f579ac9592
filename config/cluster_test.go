package config_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"clinicgate/config"
	"github.com/google/go-cmp/cmp"
)

func TestShippedClusterIsTaken(t *testing.T) {
	data, err := os.ReadFile("cluster/cluster.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, err := config.DecodeCluster("cluster.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Cluster{
		Postgres: &config.Postgres{
			Registry:  "postgres://clinicgate@db.internal/clinicgate?sslmode=verify-full&sslrootcert=/etc/clinicgate/ca.crt",
			Practices: "postgres://clinicgate@db.internal/clinic_{practice}?sslmode=verify-full&sslrootcert=/etc/clinicgate/ca.crt",
			Password:  &config.SecretFile{File: "/etc/clinicgate/postgres.password"},
		},
		Redis: &config.Redis{
			URL: "rediss://redis.internal:6379", CA: "/etc/clinicgate/ca.crt", Username: "clinicgate",
			Password: &config.SecretFile{File: "/etc/clinicgate/redis.password"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// What would go over a network in plain text, or stand where many read it, is refused with the field
// and the remedy; the secret is never quoted.
func TestUnsafeClusterIsRefused(t *testing.T) {
	const fine = "postgres: {registry: 'postgres://gate@db/registry', practices: 'postgres://gate@db/p_{practice}'}\n"
	for name, row := range map[string]struct{ text, field, remedy string }{
		"no PostgreSQL":          {"redis: {url: 'rediss://r:6379'}", "postgres", "registry"},
		"no registry":            {"postgres: {practices: 'postgres://gate@db/p_{practice}'}", "postgres.registry", "postgres://"},
		"no practices":           {"postgres: {registry: 'postgres://gate@db/registry'}", "postgres.practices", "postgres://"},
		"password in an address": {strings.Replace(fine, "gate@", "gate:canary@", 1), "postgres.registry", "password: {file"},
		"password in a query":    {strings.Replace(fine, "/registry", "/registry?password=canary", 1), "postgres.registry", "password: {file"},
		"password without file":  {strings.Replace(fine, "}'}", "}', password: {file: ''}}", 1), "postgres.password.file", "file"},
		"too many databases":     {strings.Replace(fine, "}'}", "}', open_practices: 1001}", 1), "postgres.open_practices", "12"},
		"Redis in plain text":    {fine + "redis: {url: 'redis://r.internal:6379'}", "redis.url", "rediss://"},
		"password for Redis":     {fine + "redis: {url: 'rediss://gate:canary@r:6379'}", "redis.url", "password: {file"},
		"no Redis":               {fine + "redis: {ca: x}", "redis.url", "rediss://"},
		"another kind of server": {fine + "redis: {url: 'http://127.0.0.1:6379'}", "redis.url", "rediss://"},
		"unknown field":          {fine + "redis: {url: 'rediss://r:6379', tls: off}", "redis.tls", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.DecodeCluster("cluster.yaml", []byte(row.text))
			refused, ok := errors.AsType[*config.Error](err)
			if !ok {
				t.Fatalf("got %v, want a refusal", err)
			}
			text := refused.Error()
			if !strings.Contains(text, row.field) || !strings.Contains(text, row.remedy) || strings.Contains(text, "canary") {
				t.Errorf("got %q, want field %s, remedy %q and no secret", text, row.field, row.remedy)
			}
		})
	}
	if _, err := config.DecodeCluster("cluster.yaml", []byte(fine+"redis: {url: 'redis://127.0.0.1:6379'}")); err != nil {
		t.Errorf("Redis on this machine: %v", err)
	}
}

func FuzzDecodeCluster(f *testing.F) {
	f.Add([]byte("postgres: {registry: 'postgres://a@b/c', practices: 'postgres://a@b/p_{practice}'}\nredis: {url: 'rediss://r:6379'}"))
	f.Add([]byte("postgres: {registry: '%', practices: ''}\nredis: {url: '://'}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := config.DecodeCluster("cluster.yaml", data)
		if err == nil && (c.Postgres == nil || c.Redis != nil && c.Redis.URL == "") {
			t.Errorf("taken: %+v", c)
		}
	})
}
