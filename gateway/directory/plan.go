package directory

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// plan is one proposal with what will be stored.
type plan struct {
	Proposal
	text   string
	hosts  []string // sorted
	row    row
	result Result
}

func prepare(proposal Proposal, platform policy.Platform) (*plan, error) {
	compiled, err := policy.Compile(proposal.Document, platform)
	if err != nil {
		return nil, err
	}
	if _, err := policy.ParsePracticeID(string(compiled.Practice())); err != nil {
		return nil, policy.Problems{{Field: "practice", Reason: err.Error()}}
	}
	text, err := encodeDocument(compiled.Document())
	if err != nil {
		return nil, err
	}
	hosts := compiled.Hosts()
	slices.Sort(hosts)
	return &plan{Proposal: proposal, text: text, hosts: hosts, row: row{state: state{Practice: compiled.Practice()}}}, nil
}

// claim finds what two documents of one ApplyAll both want.
func (p *plan) claim(practices map[policy.PracticeID]bool, hosts map[string]policy.PracticeID) error {
	id := p.row.Practice
	if practices[id] {
		return policy.Problems{{Field: "practice", Reason: "there is another document of the same practice", Remedy: "leave one of them out"}}
	}
	practices[id] = true
	var problems policy.Problems
	for _, host := range p.hosts {
		if owner, taken := hosts[host]; taken {
			problems = append(problems, p.hostTaken(host, owner))
		}
		hosts[host] = id
	}
	if len(problems) > 0 {
		return problems
	}
	return nil
}

func (p *plan) hostTaken(host string, owner policy.PracticeID) policy.Problem {
	return policy.Problem{
		Field:  fmt.Sprintf("hosts[%d]", slices.Index(p.Document.Hosts, host)),
		Reason: fmt.Sprintf("%s is a host of practice %s", host, owner),
		Remedy: fmt.Sprintf("choose another host, or take it from %s first", owner),
	}
}

// planAll decides in the transaction what will be stored.
func planAll(ctx context.Context, tx *database.Tx, plans []*plan, by Author, now time.Time) error {
	keep := make(map[policy.PracticeID][]string) // the hosts that each practice will have
	for _, p := range plans {
		keep[p.row.Practice] = p.hosts
	}
	var failures []error
	for _, p := range plans {
		err := p.decide(ctx, tx, keep, by, now)
		if errors.Is(err, database.ErrUnavailable) {
			return err
		}
		if err != nil {
			failures = append(failures, refused(p.row.Practice, err))
		}
	}
	return errors.Join(failures...)
}

// decide compares the proposal with what is in force and fills in row and result.
func (p *plan) decide(ctx context.Context, tx *database.Tx, keep map[policy.PracticeID][]string, by Author, now time.Time) error {
	current, err := readRow(ctx, tx, p.row.Practice)
	exists := err == nil && current.Removed == 0
	if err != nil && !errors.Is(err, ErrUnknown) {
		return err
	}
	if err := p.checkBase(current.Version, exists); err != nil {
		return err
	}
	if err := p.checkHosts(ctx, tx, keep); err != nil {
		return err
	}
	p.row.state, p.row.hosts = current.state, p.hosts
	p.row.Practice = p.Document.Practice
	p.result = Result{Practice: p.row.Practice, Version: current.Version, Generation: current.Generation, Created: !exists}
	before := ""
	if exists {
		before = current.version.Document
	}
	p.result.Diff = diff(before, p.text)
	if exists && p.result.Diff == "" && slices.Equal(current.hosts, p.hosts) && current.sound() == nil {
		p.result.Hash = hex.EncodeToString(current.version.Hash)
		return nil
	}
	p.advance(current, exists, by, now)
	return nil
}

func (p *plan) checkBase(current int64, exists bool) error {
	switch {
	case p.Base == Latest, exists && p.Base == current, !exists && p.Base == 0:
		return nil
	case exists && p.Base == 0:
		return fmt.Errorf("%w: the practice exists already, in version %d", ErrConflict, current)
	case exists:
		return fmt.Errorf("%w: this change is based on version %d, in force is version %d: look at it and change that one",
			ErrConflict, p.Base, current)
	}
	return fmt.Errorf("%w: this change is based on version %d of a practice that does not exist any more", ErrConflict, p.Base)
}

// checkHosts refuses hosts of others, unless their owner gives them up in the same ApplyAll.
func (p *plan) checkHosts(ctx context.Context, tx *database.Tx, keep map[policy.PracticeID][]string) error {
	var problems policy.Problems
	for _, host := range p.hosts {
		owner, err := hostOwner(ctx, tx, host)
		if err != nil {
			return err
		}
		if owner == "" || owner == p.row.Practice {
			continue
		}
		if kept, planned := keep[owner]; planned && !slices.Contains(kept, host) {
			continue
		}
		problems = append(problems, p.hostTaken(host, owner))
	}
	if len(problems) > 0 {
		return problems
	}
	return nil
}

// advance fills in the next version and the practice's state with it.
func (p *plan) advance(current row, exists bool, by Author, now time.Time) {
	s := &p.row.state
	s.Version, s.Revision, s.Changed, s.Author = current.Version+1, current.Revision+1, now.UnixMicro(), by
	if !exists {
		s.Generation, s.Created, s.Removed, s.Suspended = current.Generation+1, s.Changed, 0, false
	}
	previous := current.version.Hash
	if len(previous) != len(genesis) { // the first one, or one that follows a loss: VerifyHistory tells them apart
		previous = genesis
	}
	p.row.version = version{
		Practice: s.Practice, Number: s.Version, Generation: s.Generation, Document: p.text, Author: by, At: s.Changed,
		Previous: previous,
	}
	p.row.version.Hash = p.row.version.digest()
	p.result.Version, p.result.Generation, p.result.Changed = s.Version, s.Generation, true
	p.result.Hash = hex.EncodeToString(p.row.version.Hash)
}
