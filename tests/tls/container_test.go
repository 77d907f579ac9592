package tls_test

import (
	"debug/elf"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"clinicgate/tests/harness"
)

// user is the image's user.
const user = 65532

// instruction is one line of a Dockerfile, continuation lines joined.
type instruction struct{ name, rest string }

// dockerfile reads the stages of the Dockerfile in order.
func dockerfile(t *testing.T) (stages [][]instruction) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(harness.Root(), "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(strings.ReplaceAll(string(text), "\\\n", " ")) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "" || strings.HasPrefix(name, "#") {
			continue
		}
		if name == "FROM" {
			stages = append(stages, nil)
		}
		last := len(stages) - 1
		stages[last] = append(stages[last], instruction{name, strings.TrimSpace(rest)})
	}
	return stages
}

// only is the rest of the one instruction of a name.
func only(t *testing.T, stage []instruction, name string) string {
	t.Helper()
	var found []string
	for _, in := range stage {
		if in.name == name {
			found = append(found, in.rest)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d instructions %s: %q", len(found), name, found)
	}
	return found[0]
}

// words reads the exec form, a JSON list.
func words(t *testing.T, text string) (list []string) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatalf("not in the exec form, so it would need a shell: %s", text)
	}
	return list
}

// image is the root file system that the Dockerfile makes, in a folder.
type image struct {
	root, entry, health string
	command, env        []string
}

// TestImage does what the Dockerfile says, as far as that goes without a container
// engine: its commands make a static binary, and the binary serves in a root folder
// that holds the copied files and nothing else, as the image's user.
func TestImage(t *testing.T) {
	stages := dockerfile(t)
	if len(stages) != 2 || only(t, stages[1], "FROM") != "scratch" || only(t, stages[1], "USER") != "65532:65532" {
		t.Fatalf("not two stages that end in an empty image without root: %q", stages)
	}
	out := t.TempDir()
	buildStage(t, stages[0], out)
	checkStatic(t, filepath.Join(out, "gateway"))
	i := &install{dir: t.TempDir(), http: harness.FreeAddr(t), https: harness.FreeAddr(t)}
	img := finalStage(t, stages[1], out, i.dir)
	checkContents(t, i.dir)
	img.serves(t, i)
}

// buildStage checks the sources and runs the commands, with the build's folder /out in
// another place. Only the download of modules is left out: they are here.
func buildStage(t *testing.T, stage []instruction, out string) {
	t.Helper()
	for _, in := range stage {
		switch {
		case in.name == "COPY":
			paths := strings.Fields(in.rest)
			for _, source := range paths[:len(paths)-1] {
				if _, err := os.Stat(filepath.Join(harness.Root(), source)); err != nil {
					t.Errorf("COPY %s: %v", in.rest, err)
				}
			}
		case in.name == "RUN" && in.rest != "go mod download":
			command := exec.Command("sh", "-ec", strings.ReplaceAll(in.rest, "/out", out))
			command.Dir = harness.Root()
			if said, err := command.CombinedOutput(); err != nil {
				t.Fatalf("RUN %s: %v\n%s", in.rest, err, said)
			}
		}
	}
}

// checkStatic: no loader, no libraries, no symbols.
func checkStatic(t *testing.T, binary string) {
	t.Helper()
	file, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, part := range file.Progs {
		if part.Type == elf.PT_INTERP || part.Type == elf.PT_DYNAMIC {
			t.Errorf("the binary is not static: it has a part %s", part.Type)
		}
	}
	if file.Section(".symtab") != nil || file.Section(".debug_info") != nil {
		t.Error("the binary carries symbols, for tens of megabytes")
	}
}

// finalStage copies what the image consists of into root.
func finalStage(t *testing.T, stage []instruction, out, root string) *image {
	t.Helper()
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	places := strings.NewReplacer("/out", out, "/usr/local/go", strings.TrimSpace(string(goroot)))
	img := &image{root: root}
	for _, in := range stage {
		if in.name != "COPY" {
			continue
		}
		var paths []string
		owner := os.Geteuid()
		for _, word := range strings.Fields(in.rest) {
			switch {
			case word == "--from=build":
			case word == "--chown=65532:65532":
				owner = user
			case strings.HasPrefix(word, "--"):
				t.Fatalf("COPY %s: what is %s?", in.rest, word)
			default:
				paths = append(paths, word)
			}
		}
		copyTo(t, places.Replace(paths[0]), filepath.Join(root, paths[1]), owner)
	}
	img.entry, img.command = words(t, only(t, stage, "ENTRYPOINT"))[0], words(t, only(t, stage, "CMD"))
	img.env = strings.Fields(only(t, stage, "ENV"))
	_, health, _ := strings.Cut(only(t, stage, "HEALTHCHECK"), " CMD ")
	img.health = health
	return img
}

// copyTo copies a file, or what is in a folder, with its mode. As with COPY, owner and
// mode of the target folder itself are not the source's.
func copyTo(t *testing.T, source, target string, owner int) {
	t.Helper()
	err := filepath.WalkDir(source, func(path string, d fs.DirEntry, err error) error {
		to := target + strings.TrimPrefix(path, source)
		if err != nil || path == source && d.IsDir() {
			return errors.Join(err, os.MkdirAll(to, 0o755))
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if err := copyOne(path, to, info); err != nil || os.Geteuid() != 0 {
			return err
		}
		return os.Chown(to, owner, owner)
	})
	if err != nil {
		t.Fatalf("copying %s: %v", source, err)
	}
}

func copyOne(source, target string, info fs.FileInfo) error {
	if info.IsDir() {
		return os.Mkdir(target, info.Mode().Perm())
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	content, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	return os.WriteFile(target, content, info.Mode().Perm())
}

// checkContents: nothing to break into.
func checkContents(t *testing.T, root string) {
	t.Helper()
	var got []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if !d.IsDir() {
			got = append(got, strings.TrimPrefix(path, root))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	want := []string{"/etc/ssl/certs/ca-certificates.crt", "/gateway", "/zoneinfo.zip"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files of the image (-want +got):\n%s", diff)
	}
}

// serves runs the image on the shipped Caddyfile, at the paths that it names.
func (img *image) serves(t *testing.T, i *install) {
	t.Helper()
	etc := filepath.Join(img.root, "etc/clinicgate")
	if err := os.Mkdir(etc, 0o700); err != nil {
		t.Fatal(err)
	}
	inside := strings.ReplaceAll(i.caddyfile(t), i.dir+"/etc", "/etc/clinicgate")
	inside = strings.NewReplacer(i.dir+"/run", "/run/clinicgate", i.dir+"/state", "/var/lib/clinicgate").Replace(inside)
	for name, text := range map[string]string{
		"Caddyfile": inside, "platform.yaml": shipped(t, "platform.yaml"),
		"north.yaml": strings.NewReplacer("harbour.localhost", north, "practice: harbour", "practice: north").Replace(shipped(t, "examples/harbour.yaml")),
	} {
		if err := os.WriteFile(filepath.Join(etc, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(etc, user, user); err != nil {
			t.Fatal(err)
		}
	}
	config := "--config=/etc/clinicgate/Caddyfile"
	img.run(t, 0, img.entry, "keys", "init", config)
	img.run(t, 0, img.entry, "practice", "apply", "-f", "/etc/clinicgate/north.yaml", config)
	health := words(t, img.health)
	img.run(t, 1, health...) // not yet

	i.log, i.ended = new(harness.Log), make(chan struct{})
	i.command = img.exec(append([]string{img.entry}, img.command...)...)
	i.command.Stderr = i.log
	if err := i.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = i.command.Wait()
		close(i.ended)
	}()
	t.Cleanup(i.stop)
	i.await(t, func() error { return img.exec(health...).Run() })
	i.await(t, func() error {
		return i.trustFile(filepath.Join(img.root, "var/lib/clinicgate/caddy/pki/authorities/local/root.crt"))
	})
	if res := i.status(t, north, "/.gate/login", nil); res.StatusCode != http.StatusOK || !strings.Contains(res.text, "Harbour") {
		t.Errorf("the image's sign-in page: %s %.200s", res.Status, res.text)
	}
	img.run(t, 0, health...)
	i.stop()
	img.run(t, 1, health...)
}

// exec is a command in the image: its root, its user, its environment and no other.
func (img *image) exec(args ...string) *exec.Cmd {
	command := &exec.Cmd{Path: args[0], Args: args, Dir: "/", Env: img.env}
	if command.Env == nil {
		command.Env = []string{}
	}
	command.SysProcAttr = &syscall.SysProcAttr{Chroot: img.root}
	if os.Geteuid() == 0 {
		command.SysProcAttr.Credential = &syscall.Credential{Uid: user, Gid: user}
		return command
	}
	// A user namespace in which this user is the image's.
	command.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
	command.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: user, HostID: os.Getuid(), Size: 1}}
	command.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: user, HostID: os.Getgid(), Size: 1}}
	return command
}

// run runs a command in the image and expects its exit code.
func (img *image) run(t *testing.T, code int, args ...string) {
	t.Helper()
	out, err := img.exec(args...).CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatalf("%q: %v", args, err)
	}
	got := 0
	if failed != nil {
		got = failed.ExitCode()
	}
	if got != code {
		t.Errorf("%q: exit %d, want %d: %s", args, got, code, out)
	}
}
