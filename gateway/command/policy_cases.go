package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"clinicgate/gateway/directory"
	"clinicgate/policy"
)

const (
	maxCasesFile = 1 << 20 // bytes
	maxCases     = 100_000 // tried at once
)

// trial is a case with a description of who asks.
type trial struct {
	policy.Case
	subject string
}

// cases are what a simulation tries: those of a file, or everybody on every path.
func (c *call) cases(ctx context.Context, p *directory.Practice, next *policy.Policy) ([]trial, error) {
	if file := text(c.cmd, "cases"); file != "" {
		data, err := readBounded(file, maxCasesFile)
		if err != nil {
			return nil, refuse("reading the cases: %w", err)
		}
		questions, err := decodeCases(file, data)
		if err != nil {
			return nil, err
		}
		return c.ask(ctx, p, file, questions)
	}
	return c.everybody(ctx, p, next)
}

// decodeCases reads a list of questions from YAML or JSON, strictly.
func decodeCases(file string, data []byte) ([]question, error) {
	var questions []question
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(&questions); err != nil && !errors.Is(err, io.EOF) {
		return nil, refuse("reading %s: %s", file, strings.ReplaceAll(err.Error(), "\n  ", " "))
	}
	if len(questions) == 0 {
		return nil, refuse("%s holds no cases: it must be a list, each with a path", file)
	}
	if len(questions) > maxCases {
		return nil, refuse("%s holds more than %d cases", file, maxCases)
	}
	return questions, nil
}

func (c *call) ask(ctx context.Context, p *directory.Practice, file string, questions []question) ([]trial, error) {
	now := c.Now()
	trials := make([]trial, len(questions))
	for i, q := range questions {
		request, err := q.request(p.Policy, now)
		var subject *policy.Subject
		if err == nil {
			subject, err = c.subject(ctx, p, q, now)
		}
		if err != nil { // a mistake in a file is a refusal, not a wrong call
			return nil, refuse("%s: case %d: %s", file, i+1, err)
		}
		trials[i] = trial{policy.Case{Name: q.Name, Subject: subject, Request: request}, describe(q, subject)}
	}
	return trials, nil
}

// everybody is every active person on every path that a rule of either policy names.
func (c *call) everybody(ctx context.Context, p *directory.Practice, next *policy.Policy) ([]trial, error) {
	people, err := c.Accounts.List(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	now := c.Now()
	requests := requestsOf(p.Policy.Document(), next.Document())
	var trials []trial
	for _, who := range people {
		if who.Disabled {
			continue
		}
		s := subjectOf(p.Policy, who)
		level := policy.AAL1
		if s.HasSecondFactor {
			level = policy.AAL2
		}
		prove(s, level, now)
		for _, r := range requests {
			if len(trials) == maxCases {
				return nil, refuse("%s has too many people and rules to try them all: name the requests with --cases", p.ID)
			}
			r.Client, r.Now = insideOf(p.Policy), now
			trials = append(trials, trial{policy.Case{Name: who.Email, Subject: s, Request: r}, describe(question{User: who.Email}, s)})
		}
	}
	return trials, nil
}

// requestsOf are requests that meet every rule of the documents, the start page first.
func requestsOf(docs ...policy.Document) []policy.Request {
	requests := []policy.Request{{Method: "GET", Path: "/"}}
	add := func(method, rule string) {
		r := policy.Request{Method: method, Path: samplePath(rule)}
		if !slices.ContainsFunc(requests, func(other policy.Request) bool { return other.Method == r.Method && other.Path == r.Path }) {
			requests = append(requests, r)
		}
	}
	for _, doc := range docs {
		for _, rule := range doc.Access {
			add("GET", rule.Path)
		}
		for _, rule := range doc.StepUp {
			for _, method := range rule.Methods {
				add(method, rule.Path)
			}
			if len(rule.Methods) == 0 {
				add("GET", rule.Path)
				add("POST", rule.Path)
			}
		}
	}
	return requests
}

// samplePath is a path below "/x/*".
func samplePath(rule string) string {
	if prefix, ok := strings.CutSuffix(rule, "/*"); ok {
		return fmt.Sprintf("%s/sample", prefix)
	}
	return rule
}
