// Command bench measures what the gateway costs (DESIGN section 9): see tests/bench/run, which builds and starts it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"clinicgate/tests/bench/measure"
	"clinicgate/tests/bench/stage"
)

// section is one part of the benchmark.
type section struct {
	name, about string
	needs       []string // programs
	run         func(ctx context.Context, b *bench) (report, error)
}

// report is a section's result; as JSON it is one object.
type report interface {
	Table() measure.Table
}

// sections in the order in which all of them run.
var sections = []section{
	{"proxy", "CPU of a signed-in request over bare reverse_proxy, h1 and h2", []string{"wrk", "h2load"}, runProxy},
	{"noise", "the same with bare against bare: how far the method is off", []string{"wrk", "h2load"}, runNoise},
	{"decide", "policy.Decide and the session look-up: time and allocations", nil, runDecide},
	{"practices", "10, 1,000 and 10,000 practices: start-up, memory and CPU of a request", []string{"wrk"}, runPractices},
	{"sessions", "1,000 and 1,000,000 sessions: memory and CPU of first, renewing and warm requests", []string{"wrk"}, runSessions},
	{"peers", "nginx, and Apache with mod_auth_openidc, over bare reverse_proxy", []string{"wrk", "h2load", "nginx", "apache2"}, runPeers},
	{"signin", "sign-ins a second, and 500 at once: memory, and the latency of others", []string{"wrk"}, runSignin}, // the last: it gives way
}

// bench is what the sections share.
type bench struct {
	binary  string
	started time.Time
	profile string // file for CPU profiles of the gateway, in the proxy and sessions sections; "" for none
	log     io.Writer
}

// say tells a person what is going on.
func (b *bench) say(format string, args ...any) {
	_, _ = fmt.Fprintf(b.log, "bench: "+format+"\n", args...)
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == "backend" {
		exit(stage.ServeBackend(os.Args[2]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	exit(err)
}

// exit ends the program: 1 for a failure, 2 for wrong usage.
func exit(err error) {
	var usage usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case errors.As(err, &usage):
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

type usageError string

func (e usageError) Error() string { return string(e) }

// run parses the command line and runs the sections asked for.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("tests/bench/run", flag.ContinueOnError)
	flags.SetOutput(stderr)
	only := flags.String("only", "", "comma separated sections to run; empty: all")
	asJSON := flags.Bool("json", false, "print one line of JSON instead of tables")
	binary := flags.String("binary", "", "the gateway to measure")
	started := flags.Int64("started", time.Now().Unix(), "when the 50 s of the proxy section began, in Unix seconds")
	profile := flags.String("profile", "", "write a CPU profile of the gateway into this file, in the proxy section, and files that begin so, in the sessions section (costs about 1 %)")
	flags.Usage = func() {
		_, _ = fmt.Fprintln(stderr, "usage: tests/bench/run [--only NAME,…] [--json] [--profile FILE]\n\nsections:")
		for _, s := range sections {
			_, _ = fmt.Fprintf(stderr, "  %-9s %s\n", s.name, s.about)
		}
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return err
	} else if err != nil {
		return usageError(err.Error())
	}
	if flags.NArg() > 0 || *binary == "" {
		return usageError("start it with tests/bench/run [--only NAME,…] [--json]")
	}
	chosen, err := choose(*only)
	if err != nil {
		return err
	}
	b := &bench{binary: *binary, started: time.Unix(*started, 0), profile: *profile, log: stderr}
	return b.runAll(ctx, chosen, *asJSON, stdout)
}

// choose picks sections by name.
func choose(only string) ([]section, error) {
	if only == "" {
		return sections, nil
	}
	var chosen []section
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(sections, func(s section) bool { return s.name == strings.TrimSpace(name) })
		if i < 0 {
			return nil, usageError(fmt.Sprintf("there is no section %q: see --help", name))
		}
		chosen = append(chosen, sections[i])
	}
	return chosen, nil
}

// runAll runs sections one after another. One section prints its own object, several print {"name": object, …}.
func (b *bench) runAll(ctx context.Context, chosen []section, asJSON bool, stdout io.Writer) error {
	reports := make(map[string]report)
	for _, s := range chosen {
		if missing := measure.Missing(s.needs...); len(missing) > 0 {
			return fmt.Errorf("%s needs Debian's %s: apt-get install %s", s.name, strings.Join(missing, " and "), strings.Join(missing, " "))
		}
		b.say("%s: %s", s.name, s.about)
		if len(chosen) > 1 {
			b.started = time.Now() // the limit is one section's
		}
		r, err := s.run(ctx, b)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		reports[s.name] = r
		if asJSON {
			continue
		}
		table := r.Table()
		if err := table.Write(stdout); err != nil {
			return err
		}
	}
	if !asJSON {
		return nil
	}
	var result any = reports
	if len(chosen) == 1 {
		result = reports[chosen[0].name]
	}
	return json.NewEncoder(stdout).Encode(result)
}
