package directive

import (
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"clinicgate/modules/app"
)

func init() { httpcaddyfile.RegisterGlobalOption("clinicgate", parseGlobal) }

// parseGlobal reads
//
//	clinicgate {
//		state      DIR     # databases; required
//		master_key FILE    # empty: master.key in state
//		platform   FILE    # empty: platform.yaml in state, else built-in defaults
//		cluster    FILE    # PostgreSQL and Redis; empty: databases in state
//	}
func parseGlobal(d *caddyfile.Dispenser, existing any) (any, error) {
	d.Next() // the option's name
	if existing != nil {
		return nil, d.Err("clinicgate stands twice among the global options: merge the two blocks")
	}
	if d.NextArg() {
		return nil, d.Errf("clinicgate takes a block, not %q", d.Val())
	}
	var a app.App
	fields := map[string]*string{"state": &a.State, "master_key": &a.MasterKey, "platform": &a.Platform, "cluster": &a.Cluster}
	for seen := (options{}); d.NextBlock(0); {
		if err := seen.once(d); err != nil {
			return nil, err
		}
		option := d.Val()
		field, known := fields[option]
		if !known {
			return nil, d.Errf("unknown option %q: clinicgate has state, master_key, platform and cluster", option)
		}
		if !d.AllArgs(field) {
			return nil, d.Errf("%s takes one path", option)
		}
		if err := literal(d, option, []string{*field}); err != nil {
			return nil, err
		}
	}
	if a.State == "" {
		return nil, d.Err("clinicgate: state is missing: name the folder for the databases")
	}
	return httpcaddyfile.App{Name: "clinicgate", Value: caddyconfig.JSON(a, nil)}, nil
}
