package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/tenantry/tenantry/cmd/tenantry/config"
	"github.com/tenantry/tenantry/shard/kinds/strictyaml"
)

const repository = "../.."

// docs checks what pages refer to.
type docs struct {
	root     string
	targets  []string // of the Makefile
	tests    []string // names of test and benchmark functions
	mistakes []string
}

// What the pages refer to exists: links and their headings, make targets,
// commands with their flags, tests, variables.
func TestDocs(t *testing.T) {
	d := newDocs(t)
	for _, page := range files(t, ".md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		d.check(page, string(text))
	}
	for _, m := range d.mistakes {
		t.Error(m)
	}
}

// A page with one mistake of each sort is found out.
func TestDocsCanFail(t *testing.T) {
	d := newDocs(t)
	d.check(filepath.Join(repository, "docs", "page.md"), "# A page\n[good](design.md#words) [gone](gone.md) [no such heading](design.md#wards) [here](#a-page)\n"+
		"Run `make tests`, `make test`, `tenantry demo --tenants 3`, `tenantry dance`, `tenantry config chuck`.\n"+
		"`go test -run TestNobodyWroteThis ./rpc`, `TENANTRY_LISTEN_RCP=x`\n"+
		"```console\n$ bin/tenantry get 123 role admin \\\n    --sever http://x | jq .\n$ make build && tenantry watch-it\n```\n")
	want := []string{
		"docs/page.md: gone.md: no such file",
		"docs/page.md: design.md#wards: no such heading",
		"docs/page.md: make tests: no such target",
		"docs/page.md: tenantry dance: no such command",
		"docs/page.md: tenantry config chuck: no such command",
		"docs/page.md: TestNobodyWroteThis: no such test",
		"docs/page.md: TENANTRY_LISTEN_RCP: no such variable",
		"docs/page.md: tenantry get 123 role admin --sever http://x: no flag --sever",
		"docs/page.md: tenantry watch-it: no such command",
	}
	slices.Sort(want)
	slices.Sort(d.mistakes)
	if diff := cmp.Diff(want, d.mistakes); diff != "" {
		t.Errorf("mistakes (-want +got):\n%s", diff)
	}
}

func newDocs(t *testing.T) *docs {
	t.Helper()
	d := &docs{root: repository}
	makefile, err := os.ReadFile(filepath.Join(repository, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^([a-z0-9-]+):`).FindAllStringSubmatch(string(makefile), -1) {
		d.targets = append(d.targets, m[1])
	}
	function := regexp.MustCompile(`(?m)^func ((?:Test|Benchmark|Fuzz|Example)\w*)\(`)
	for _, file := range files(t, "_test.go") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range function.FindAllStringSubmatch(string(text), -1) {
			d.tests = append(d.tests, m[1])
		}
	}
	return d
}

// files returns the repository's files with an ending.
func files(t *testing.T, ending string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(repository, func(path string, e fs.DirEntry, err error) error {
		name := e.Name()
		switch {
		case err != nil:
			return err
		case e.IsDir() && (name == "node_modules" || name == "bin" || strings.HasPrefix(name, ".") && name != "..") && path != repository:
			return fs.SkipDir
		case !e.IsDir() && strings.HasSuffix(name, ending):
			all = append(all, path)
		}
		return nil
	})
	if err != nil || len(all) == 0 {
		t.Fatal("no files", err)
	}
	return all
}

func (d *docs) check(page, text string) {
	name, _ := filepath.Rel(d.root, page)
	wrong := func(format string, args ...any) {
		d.mistakes = append(d.mistakes, name+": "+fmt.Sprintf(format, args...))
	}
	for _, m := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(text, -1) {
		d.link(page, m[1], wrong)
	}
	for line := range codeLines(text) {
		d.line(line, wrong)
	}
}

// link checks a relative link and its heading.
func (d *docs) link(page, to string, wrong func(string, ...any)) {
	path, heading, _ := strings.Cut(to, "#")
	if strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:") {
		return
	}
	target := page
	if path != "" {
		target = filepath.Join(filepath.Dir(page), path)
	}
	if path != "" {
		if _, err := os.Stat(target); err != nil {
			wrong("%s: no such file", to)
			return
		}
	}
	if heading == "" || !strings.HasSuffix(target, ".md") {
		return
	}
	if text, err := os.ReadFile(target); err == nil && !slices.Contains(headings(string(text)), heading) {
		wrong("%s: no such heading", to)
	}
}

// headings returns the anchors of a page's headings, as GitHub makes them.
func headings(text string) (all []string) {
	drop := regexp.MustCompile("[^a-z0-9 _-]")
	for line := range strings.Lines(text) {
		if title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && line[0] == '#' {
			title = drop.ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), "")
			all = append(all, strings.ReplaceAll(title, " ", "-"))
		}
	}
	return all
}

// codeLines yields the lines of fenced blocks, continued ones joined, and the
// spans of code in the text.
func codeLines(text string) func(func(string) bool) {
	span := regexp.MustCompile("`([^`]+)`")
	return func(yield func(string) bool) {
		fenced, text := false, strings.ReplaceAll(text, "\\\n", " ")
		for line := range strings.Lines(text) {
			if strings.HasPrefix(strings.TrimSpace(line), "```") {
				fenced = !fenced
				continue
			}
			if fenced && !yield(strings.TrimSpace(line)) {
				return
			}
			for _, m := range span.FindAllStringSubmatch(line, -1) {
				if !fenced && !yield(m[1]) {
					return
				}
			}
		}
	}
}

// line checks the commands, tests and variables of a line of code.
func (d *docs) line(line string, wrong func(string, ...any)) {
	for _, name := range regexp.MustCompile(`\b(?:Test|Benchmark|Fuzz)[A-Z]\w+`).FindAllString(line, -1) {
		begins := func(test string) bool { return strings.HasPrefix(test, name) }
		if strings.Contains(line, "go test") && !slices.ContainsFunc(d.tests, begins) {
			wrong("%s: no such test", name)
		}
	}
	for _, name := range regexp.MustCompile(`\bTENANTRY_[A-Z_]*[A-Z]\b`).FindAllString(line, -1) {
		if !isVariable(name) {
			wrong("%s: no such variable", name)
		}
	}
	line, _, _ = strings.Cut(line, " #")
	for _, command := range regexp.MustCompile(`\s*(?:&&|[|;&]|\$\()\s*`).Split(strings.TrimPrefix(line, "$ "), -1) {
		words := strings.Fields(command)
		for len(words) > 0 && strings.Contains(words[0], "=") { // variables before it
			words = words[1:]
		}
		if len(words) < 2 {
			continue
		}
		switch filepath.Base(words[0]) {
		case "make":
			if !slices.Contains(d.targets, words[1]) {
				wrong("make %s: no such target", words[1])
			}
		case "tenantry":
			checkUsage(words[1:], wrong)
		}
	}
}

func isVariable(name string) bool {
	for leaf := range strictyaml.Leaves(config.Default()) {
		if config.Variable(leaf.Key) == name {
			return true
		}
	}
	return name == "TENANTRY_SERVER"
}

// checkUsage checks a command line of tenantry: the command and its flags.
func checkUsage(words []string, wrong func(string, ...any)) {
	if strings.ToUpper(words[0]) == words[0] || strings.HasPrefix(words[0], "-") { // tenantry COMMAND --help
		return
	}
	c, rest, err := rootCommand().Find(words)
	if err != nil || c.HasSubCommands() && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		wrong("tenantry %s: no such command", strings.Join(words, " "))
		return
	}
	for _, word := range rest {
		name, _, _ := strings.Cut(strings.Trim(word, "[]"), "=")
		if !hasFlag(c, name) {
			wrong("tenantry %s: no flag %s", strings.Join(words, " "), name)
		}
	}
}

// hasFlag says whether a word is no flag, or one of the command.
func hasFlag(c *cobra.Command, word string) bool {
	c.InitDefaultHelpFlag()
	if name, ok := strings.CutPrefix(word, "--"); ok {
		return c.Flags().Lookup(name) != nil
	}
	if name, ok := strings.CutPrefix(word, "-"); ok && len(name) == 1 {
		return c.Flags().ShorthandLookup(name) != nil
	}
	return true
}
