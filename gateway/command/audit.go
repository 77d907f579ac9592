package command

import (
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"clinicgate/gateway/directory"
)

func init() {
	register("audit", "A practice's audit log: tail, export, verify", func(cmd *cobra.Command) {
		cmd.Long = "Reads a practice's audit log, and proves that nobody has altered it. Nothing here changes anything."
		stateFlags(cmd)
		practiceFlag(cmd)
		group(cmd, auditTail(), auditExport(), auditVerify())
	})
}

// instant reads a time that somebody gives on the command line: RFC 3339, a date or a
// minute in the practice's own zone, or how long ago ("90m", "24h", "7d").
func instant(flag, s string, p *directory.Practice, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	zone := time.UTC
	if p.Policy != nil {
		zone = p.Policy.Timezone()
	}
	for _, layout := range []string{"2006-01-02", "2006-01-02 15:04"} {
		if t, err := time.ParseInLocation(layout, s, zone); err == nil {
			return t, nil
		}
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n <= 100_000 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, usage("--%s %.40q is no time: write 2026-01-31, 2026-01-31T08:00:00Z, or how long ago: 24h, 7d", flag, s)
}
