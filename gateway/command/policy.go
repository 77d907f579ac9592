package command

import (
	"github.com/spf13/cobra"
)

func init() {
	register("policy", "A practice's policy: explain, history, diff, simulate", func(cmd *cobra.Command) {
		cmd.Long = "Reads a practice's policy: why a request is let through or not, what the policy was before, and what\n" +
			"another one would change. Nothing here changes anything."
		stateFlags(cmd)
		practiceFlag(cmd)
		group(cmd, policyExplain(), policyHistory(), policyDiff(), policySimulate())
	})
}
