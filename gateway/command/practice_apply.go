package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"clinicgate/config"
	"clinicgate/gateway/audit"
	"clinicgate/gateway/directory"
	"clinicgate/policy"
)

// maxDocument is what config reads of one policy, in bytes.
const maxDocument = 1 << 20

func practiceApply() *cobra.Command {
	cmd := &cobra.Command{
		Use: "apply -f FILE…", Short: "Make documents the policies of their practices: all of them, or none", Args: cobra.ArbitraryArgs,
		Long: "Checks the documents, shows what changes and applies it. A practice that does not exist yet is made.\n" +
			"When anything is wrong nothing is applied and the policies in force stay. - reads standard input.",
		Example: "  gateway practice apply --state /var/lib/clinicgate -f harbour.yaml --reason \"second factor for everybody\"",
		RunE:    on(applyPractices),
	}
	cmd.Flags().StringArrayP("file", "f", nil, "policy document, YAML or JSON (repeatable)")
	cmd.Flags().Bool("dry-run", false, "show what would change, and change nothing")
	reasonFlag(cmd)
	return cmd
}

// applied is the outcome for one practice, for programs.
type applied struct {
	Practice string   `json:"practice"`
	File     string   `json:"file"`
	Version  int64    `json:"version"`
	Changed  bool     `json:"changed"`
	Created  bool     `json:"created"`
	Diff     []string `json:"diff"`
	Hash     string   `json:"hash,omitempty"`
}

func applyPractices(ctx context.Context, c *call) error {
	files := append(texts(c.cmd, "file"), c.args...)
	if len(files) == 0 {
		return usage("say which documents to apply: -f FILE")
	}
	dry := yes(c.cmd, "dry-run")
	bar := newProgress(c.cmd, "Applying policies")
	defer bar.end()
	docs, texts, err := c.readDocuments(files)
	if err != nil {
		return err
	}
	author := directory.Author{Who: actor(), Why: text(c.cmd, "reason")}
	results, err := c.Directory.ApplyAll(ctx, proposals(docs, nil), author, true)
	if err == nil && !dry {
		results, err = c.apply(ctx, docs, results, author, bar)
	}
	if err != nil {
		return notApplied(inFiles(err, files, texts, docs))
	}
	bar.end()
	return c.printApplied(files, results, dry)
}

// readDocuments reads all files, or says all that is wrong with any of them.
func (c *call) readDocuments(files []string) (docs []policy.Document, texts [][]byte, err error) {
	var failures []error
	of := make(map[policy.PracticeID]string)
	for _, file := range files {
		doc, data, err := c.readDocument(file)
		if before := of[doc.Practice]; err == nil && before != "" {
			err = fmt.Errorf("%s: practice: %s is another document of practice %s: leave one of them out", file, before, doc.Practice)
		}
		of[doc.Practice] = file
		if err != nil {
			failures = append(failures, err)
			continue
		}
		docs, texts = append(docs, doc), append(texts, data)
	}
	if len(failures) > 0 {
		return nil, nil, notApplied(errors.Join(failures...))
	}
	return docs, texts, nil
}

func (c *call) readDocument(file string) (doc policy.Document, data []byte, err error) {
	if file == "-" {
		file = "standard input"
		data, err = readAll(c.cmd.InOrStdin(), file, maxDocument)
	} else {
		data, err = readBounded(file, maxDocument)
	}
	if err != nil {
		var path *os.PathError
		if errors.As(err, &path) {
			err = fmt.Errorf("%s: %w", path.Path, path.Err)
		}
		return policy.Document{}, nil, err
	}
	doc, err = config.LoadDocument(file, data, c.platform)
	return doc, data, err
}

// notApplied is the one sentence for a policy that is refused.
func notApplied(err error) error {
	if what := strings.TrimSpace(err.Error()); strings.Contains(what, "\n") {
		return refuse("nothing was applied, the policies in force stay:\n%s", what)
	}
	return refuse("nothing was applied, the policy in force stays: %w", err)
}

// inFiles says in which file and line a practice is that was refused for what stands in others.
func inFiles(err error, files []string, texts [][]byte, docs []policy.Document) error {
	what := err.Error()
	for i, doc := range docs {
		named := regexp.MustCompile(`practice "` + regexp.QuoteMeta(string(doc.Practice)) + `": ([a-z_]+(?:\[[0-9]+\])?: )?`)
		what = named.ReplaceAllStringFunc(what, func(found string) string {
			field := named.FindStringSubmatch(found)[1]
			if line := config.Line(files[i], texts[i], strings.TrimSuffix(field, ": ")); field != "" && line > 0 {
				return fmt.Sprintf("%s:%d: %s", files[i], line, field)
			}
			return files[i] + ": " + field
		})
	}
	return errors.New(what)
}

// proposals pairs documents with the versions they were compared with; without planned,
// with whatever is in force.
func proposals(docs []policy.Document, planned []directory.Result) []directory.Proposal {
	out := make([]directory.Proposal, len(docs))
	for i, doc := range docs {
		out[i] = directory.Proposal{Document: doc, Base: directory.Latest}
		switch {
		case planned == nil:
		case planned[i].Created:
			out[i].Base = 0
		case planned[i].Changed:
			out[i].Base = planned[i].Version - 1
		default:
			out[i].Base = planned[i].Version
		}
	}
	return out
}

// apply makes the databases of new practices, records every change, and makes all of
// them at once, on condition that nothing has changed since planned.
func (c *call) apply(ctx context.Context, docs []policy.Document, planned []directory.Result, by directory.Author, bar *progress) ([]directory.Result, error) {
	total := int64(len(docs)) + 1
	events := make([]*audit.Event, len(docs))
	fail := func(cause error) error {
		for i, e := range events {
			if e != nil {
				c.recordFailure(ctx, docs[i].Practice, *e, cause)
			}
		}
		return cause
	}
	for i, doc := range docs {
		bar.at(int64(i), total)
		// Also for a practice that is there: an apply that was interrupted is completed.
		if err := c.DB.CreateGeneration(ctx, doc.Practice, planned[i].Generation); err != nil {
			return nil, fail(fmt.Errorf("making the database of %s: %w", doc.Practice, err))
		}
		if !planned[i].Changed {
			continue
		}
		e := c.applyEvent(planned[i])
		if err := c.Audit.Append(ctx, doc.Practice, e); err != nil {
			return nil, fail(fmt.Errorf("recording the change of %s: %w", doc.Practice, err))
		}
		events[i] = &e
	}
	bar.at(total-1, total)
	results, err := c.Directory.ApplyAll(ctx, proposals(docs, planned), by, false)
	if err != nil {
		return nil, fail(err)
	}
	return results, nil
}

func (c *call) applyEvent(r directory.Result) audit.Event {
	e := c.event(audit.Policy, "policy_applied", string(r.Practice))
	e.Detail["version"] = strconv.FormatInt(r.Version, 10)
	e.Detail["changes"] = strings.ReplaceAll(r.Diff, "\n", "; ")
	if r.Created {
		e.Action = "practice_created"
		delete(e.Detail, "changes") // the whole document, which the registry keeps
	}
	return e
}

func (c *call) printApplied(files []string, results []directory.Result, dry bool) error {
	views := make([]applied, len(results))
	for i, r := range results {
		v := applied{Practice: string(r.Practice), File: files[i], Version: r.Version, Changed: r.Changed, Created: r.Created, Diff: []string{}}
		if r.Diff != "" {
			v.Diff = strings.Split(r.Diff, "\n")
		}
		if !dry || !r.Changed {
			v.Hash = r.Hash
		}
		views[i] = v
	}
	return c.print(map[string]any{"dry_run": dry, "applied": views}, func(w io.Writer) {
		for _, v := range views {
			fmt.Fprintln(w, v.sentence(dry))
			for _, line := range v.Diff {
				fmt.Fprintf(w, "  %s\n", line)
			}
		}
		if dry {
			fmt.Fprintln(w, "Dry run: nothing was changed.")
		}
	})
}

func (v applied) sentence(dry bool) string {
	switch {
	case !v.Changed:
		return fmt.Sprintf("%s: no change, version %d stays in force.", v.Practice, v.Version)
	case v.Created && dry:
		return fmt.Sprintf("%s: a new practice would be made.", v.Practice)
	case v.Created:
		return fmt.Sprintf("%s: a new practice, version %d is in force.", v.Practice, v.Version)
	case dry:
		return fmt.Sprintf("%s: would become version %d.", v.Practice, v.Version)
	}
	return fmt.Sprintf("%s: version %d is in force.", v.Practice, v.Version)
}
