package command

import (
	"time"

	"github.com/spf13/cobra"

	"clinicgate/gateway/directory"
)

func init() {
	register("practice", "Practices and their policies: apply, list, suspend, remove", func(cmd *cobra.Command) {
		cmd.Long = "Practices and their policies. A policy is a YAML or JSON document; every version of it is kept."
		stateFlags(cmd)
		group(cmd, practiceApply(), practiceList(), practiceShow(), practiceExport(),
			practiceSuspend(), practiceResume(), practiceRemove())
	})
}

// practiceView is a practice for programs.
type practiceView struct {
	Practice  string     `json:"practice"`
	Name      string     `json:"name,omitempty"`
	State     string     `json:"state"` // served, suspended, broken or removed
	Problem   string     `json:"problem,omitempty"`
	Version   int64      `json:"version"`
	Hosts     []string   `json:"hosts"`
	Upstreams []string   `json:"upstreams"`
	Changed   *time.Time `json:"changed,omitempty"`
	By        string     `json:"by,omitempty"`
	Why       string     `json:"why,omitempty"`
}

func viewOf(p *directory.Practice) practiceView {
	v := practiceView{
		Practice: string(p.ID), State: stateOf(p), Problem: p.Broken, Version: p.Version,
		Hosts: list(p.Hosts), Upstreams: list(p.Upstreams),
	}
	if p.Policy != nil {
		v.Name = p.Policy.Name()
	}
	return v
}

func stateOf(p *directory.Practice) string {
	switch {
	case p.Suspended:
		return "suspended"
	case p.Broken != "":
		return "broken"
	}
	return "served"
}
