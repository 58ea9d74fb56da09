package config

import (
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/tenantry/tenantry/shard/kinds/strictyaml"
)

// prefix starts the name of every variable of ours.
const prefix = "TENANTRY_"

// commandLine is the command line's own variable, which is no key.
const commandLine = prefix + "SERVER"

// kubernetes matches what Kubernetes sets in every pod for Services whose names
// start with tenantry.
var kubernetes = regexp.MustCompile(`^TENANTRY(_[A-Z0-9_]+)?_(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// Load reads the configuration of a file, or of none if file is empty, and of
// the environment, as [os.Environ] gives it. Its error is the file's, or a
// [*strictyaml.MistakesError] with all mistakes.
func Load(file string, environ []string) (*Config, error) {
	var data []byte
	if file != "" {
		var err error
		if data, err = read(file); err != nil {
			return nil, err
		}
	}
	return Parse(file, data, environ)
}

// Parse is Load for a file that has been read. It reads none but those that the
// configuration names, to see that they can be read.
func Parse(file string, data []byte, environ []string) (*Config, error) {
	c := Default()
	r := strictyaml.Decode(file, data, c)
	set := split(environ)
	c.seed(r, set)
	c.override(r, set)
	c.check(r)
	if err := r.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

// split returns the variables that have a value.
func split(environ []string) map[string]string {
	set := map[string]string{}
	for _, line := range environ {
		if name, value, _ := strings.Cut(line, "="); value != "" {
			set[name] = value
		}
	}
	return set
}

// Variable returns the name of a key's variable.
func Variable(key string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// override applies the keys' own variables and refuses those of no key.
func (c *Config) override(r *strictyaml.Report, set map[string]string) {
	known := map[string]bool{commandLine: true}
	for leaf := range strictyaml.Leaves(c) {
		name := Variable(leaf.Key)
		known[name] = true
		if value, ok := set[name]; ok {
			c.replaces(leaf.Key)
			r.Override(leaf, name, value)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if strings.HasPrefix(name, prefix) && !known[name] && !kubernetes.MatchString(name) {
			r.Variable(name, "", "names no key; %s is listen.rpc, and so on", Variable("listen.rpc"))
		}
	}
}

// replaces drops the other way to give the same secret, named further below.
func (c *Config) replaces(key string) {
	switch key {
	case "redis.password":
		c.Redis.PasswordFile = ""
	case "redis.password_file":
		c.Redis.Password = ""
	case "origin.token":
		c.Origin.TokenFile = ""
	case "origin.token_file":
		c.Origin.Token = ""
	}
}

// read reads a small file.
func read(file string) ([]byte, error) {
	const most = 1<<20 + 1 // one more than what is read as YAML
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}

// Secret returns the password, from its file if that is where it is; a line's
// end behind it is not part of it.
func (r *Redis) Secret() (string, error) { return secret(r.Password, r.PasswordFile) }

// Secret returns the token, from its file if that is where it is; a line's end
// behind it is not part of it.
func (o *Origin) Secret() (string, error) { return secret(o.Token, o.TokenFile) }

func secret(s Secret, file string) (string, error) {
	if file == "" {
		return s.Reveal(), nil
	}
	data, err := read(file)
	return strings.TrimRight(string(data), "\r\n"), err
}
