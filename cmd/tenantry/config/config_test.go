package config_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/cmd/tenantry/config"
	"github.com/tenantry/tenantry/shard/kinds/strictyaml"
)

func parse(t *testing.T, file string, environ ...string) *config.Config {
	t.Helper()
	c, err := config.Parse("c.yaml", []byte(file), environ)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNothingGivenIsDefault(t *testing.T) {
	for _, file := range []string{"", "# nothing\n", "---\n", "redis:\n  # password: x\n", "{}"} {
		if diff := cmp.Diff(config.Default(), parse(t, file)); diff != "" {
			t.Errorf("%q (-default +got):\n%s", file, diff)
		}
	}
}

// The files of testdata/mistakes and their errors. A line "#env NAME=value" of a
// file is a variable.
func TestMistakes(t *testing.T) {
	t.Chdir("testdata/mistakes")
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(file, ".yaml"), func(t *testing.T) {
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			want, _ := os.ReadFile(golden)
			_, err := config.Load(file, variables(t, file))
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(string(want), err.Error()+"\n"); diff != "" {
				t.Errorf("mistakes (-want +got):\n%s", diff)
				if os.Getenv("UPDATE") != "" {
					_ = os.WriteFile(golden, []byte(err.Error()+"\n"), 0o600)
				}
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Error("the mistakes show a secret")
			}
		})
	}
}

func variables(t *testing.T, file string) []string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for line := range strings.Lines(string(data)) {
		if v, ok := strings.CutPrefix(line, "#env "); ok {
			all = append(all, strings.TrimSuffix(v, "\n"))
		}
	}
	return all
}

func TestEnvironment(t *testing.T) {
	file := "redis: {addresses: [a:1, b:2], username: file, password: file}\nlisten: {rpc: 127.0.0.1:1}\n"
	for _, c := range []struct {
		name, environ, want string
	}{
		{"the file", "", "[a:1 b:2] file file"},
		{"the seed", "REDIS_HOST=r REDIS_PORT=7 REDIS_USERNAME=u REDIS_PASSWORD=p", "[r:7] u p"},
		{"host alone", "REDIS_HOST=r", "[r:6379] file file"},
		{"port alone", "REDIS_PORT=7", "[a:7] file file"},
		{"address of version 6", "REDIS_HOST=::1", "[[::1]:6379] file file"},
		{"a Service's port alone", "REDIS_PORT=tcp://10.0.0.1:6380", "[a:1 b:2] file file"},
		{"a Service's port", "REDIS_HOST=r REDIS_PORT=tcp://10.0.0.1:6380", "[r:6380] file file"},
		{"empty is none", "REDIS_HOST= TENANTRY_REDIS_USERNAME=", "[a:1 b:2] file file"},
		{"ours beat the seed's", "TENANTRY_REDIS_ADDRESSES=x:1,y:2 REDIS_HOST=r TENANTRY_REDIS_PASSWORD=q REDIS_PASSWORD=p", "[x:1 y:2] file q"},
		{"others' variables", "TENANTRY_SERVER=http://x TENANTRY_PORT=tcp://1.2.3.4:7070 TENANTRY_REDIS_SERVICE_HOST=1.2.3.4", "[a:1 b:2] file file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := parse(t, file, strings.Fields(c.environ)...).Redis
			got := strings.TrimSpace(strings.Join([]string{sprint(r.Addresses), r.Username, r.Password.Reveal()}, " "))
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func sprint(addresses []config.Address) string {
	parts := make([]string, len(addresses))
	for i, a := range addresses {
		parts[i] = string(a)
	}
	return "[" + strings.Join(parts, " ") + "]"
}

func TestEnvironmentTypes(t *testing.T) {
	c := parse(t, "", "TENANTRY_LIMITS_OVERRIDES={acme: {tenant_bytes: 64MiB}}", "TENANTRY_COHERENCE_BOUND=5s",
		"TENANTRY_RING_LOAD=1.5", "TENANTRY_KINDS_ALIASES=false", "TENANTRY_ORIGIN_MAX_BYTES=1MiB", "TENANTRY_TENANTS_PRELOAD= a, b ,")
	size := config.Size(64 << 20)
	want := config.Default()
	want.Limits.Overrides = map[string]config.Override{"acme": {TenantBytes: &size}}
	want.Coherence.Bound = 5 * time.Second
	want.Ring.Load = 1.5
	want.Kinds.Aliases = false
	want.Origin.MaxBytes = 1 << 20
	want.Tenants.Preload = []string{"a", "b"}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Error(diff)
	}
}

// A variable's secret beats the file that the configuration names for it.
func TestSecrets(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	given := "redis: {password_file: " + file + "}\norigin: {token: tok}\n"
	for environ, want := range map[string]string{"": "from-file", "REDIS_PASSWORD=env": "env", "TENANTRY_REDIS_PASSWORD=ours": "ours"} {
		c := parse(t, given, environ)
		if got, err := c.Redis.Secret(); got != want || err != nil {
			t.Errorf("%s: got %q, %v", environ, got, err)
		}
	}
	c := parse(t, given, "TENANTRY_ORIGIN_TOKEN_FILE="+file)
	if got, err := c.Origin.Secret(); got != "from-file" || err != nil {
		t.Errorf("token: got %q, %v", got, err)
	}
}

// What Show prints reads back to the same, but for the secrets.
func TestShow(t *testing.T) {
	c := parse(t, `
redis: {password: hunter2, namespace: "007", username: "null"}
origin: {token: hunter2, timeout: 1500ms}
cluster: {peer_secret: hunter2, secret_keys: [aHVudGVyMmh1bnRlcjJodQ==]}
limits: {node_bytes: 1000000000, overrides: {acme: {tenant_bytes: 64MiB}, "1": {tenant_requests_per_second: 0}}}
tenants: {preload: ["1", b], idle_timeout: 90m}
`)
	var shown bytes.Buffer
	if err := config.Show(&shown, c); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(shown.String(), "hunter2") || strings.Contains(shown.String(), "aHVu") {
		t.Errorf("a secret is shown:\n%s", shown.String())
	}
	text := strings.ReplaceAll(shown.String(), `secret_keys: ['******']`, `secret_keys: [aHVudGVyMmh1bnRlcjJodQ==]`)
	again := parse(t, strings.ReplaceAll(text, `'******'`, "hunter2"))
	if diff := cmp.Diff(c, again); diff != "" {
		t.Errorf("shown and read again:\n%s\n%s", diff, shown.String())
	}
}

// The example in deploy is made from the defaults and the doc tags.
func TestExample(t *testing.T) {
	const file = "../../../deploy/tenantry.example.yaml"
	var b bytes.Buffer
	if err := config.Example(&b); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("UPDATE") != "" {
		_ = os.WriteFile(file, b.Bytes(), 0o600)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b.String(), string(data)); diff != "" {
		t.Errorf("run UPDATE=1 go test (-made +file):\n%s", diff)
	}
	if diff := cmp.Diff(config.Default(), parse(t, string(data))); diff != "" {
		t.Errorf("the example is not the default:\n%s", diff)
	}
}

// Every key is documented, has a variable of its own, and a default in bounds.
func TestKeys(t *testing.T) {
	variables := map[string]string{}
	for leaf := range strictyaml.Leaves(config.Default()) {
		if leaf.Tag.Get("doc") == "" {
			t.Errorf("%s has no doc", leaf.Key)
		}
		v := config.Variable(leaf.Key)
		if other, ok := variables[v]; ok {
			t.Errorf("%s and %s have the same variable", leaf.Key, other)
		}
		variables[v] = leaf.Key
	}
	if len(variables) < 60 {
		t.Errorf("only %d keys", len(variables))
	}
}

func TestNotYet(t *testing.T) {
	if got := config.NotYet(config.Default()); len(got) != 0 {
		t.Errorf("of the default: %q", got)
	}
	got := config.NotYet(parse(t, "ring: {replicas: 3}\ncors: {origins: [https://a]}\nnode: {zone: z, name: n}\ntelemetry: {audit_per_second: 0}\nredis: {addresses: [a:1, b:2], mode: cluster}"))
	want := []string{
		"redis.mode has no effect: this version has no sentinel and cluster",
		"telemetry.audit_per_second has no effect: this version has no audit",
		"redis.addresses: only the first has an effect in mode standalone",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Of the limits, some have an effect, also as one tenant's own.
func TestNotYetOfLimits(t *testing.T) {
	got := config.NotYet(parse(t, `
limits:
  active_tenants: 7
  activations_per_second: 7
  tenant_bytes: 7MiB
  node_bytes: 70MiB
  tenant_requests_per_second: 7
  tenant_origin_concurrency: 7
  overrides:
    b: {tenant_bytes: 1MiB, tenant_requests_per_second: 0}
    a: {tenant_origin_concurrency: 8}
    c: {tenant_bytes: 1MiB}
`))
	want := []string{
		"limits.tenant_requests_per_second has no effect: this version has no rates",
		"limits.overrides.b.tenant_requests_per_second has no effect: this version has no rates",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestInsecure(t *testing.T) {
	for file, want := range map[string]int{
		"":                                 0,
		"listen: {rpc: 'localhost:1'}":     0,
		"listen: {rpc: '[::1]:1'}":         0,
		"listen: {rpc: '127.9.9.9:1'}":     0,
		"listen: {rpc: ':7070'}":           1,
		"listen: {rpc: '[::]:7070'}":       1,
		"listen: {rpc: 'example.com:1'}":   1,
		"listen: {rpc: '127.0.0.1.nip:1'}": 1,
		"listen: {rpc: '0.0.0.0:1', admin: '0.0.0.0:2', gossip: '0.0.0.0:3'}":               3,
		"listen: {gossip: '0.0.0.0:3'}\ncluster: {secret_keys: [aHVudGVyMmh1bnRlcjJodQ==]}": 0,
		"listen: {rpc: '10.0.0.1:1'}\nauth: {mode: jwt, jwt: {jwks: 'https://a/keys'}}":     2,
	} {
		if got := config.Insecure(parse(t, file)); len(got) != want {
			t.Errorf("%s: got %q, want %d", file, got, want)
		}
	}
}

// Any file and variable give a configuration that shows and reads again, or
// mistakes of bounded number that do not repeat the secret.
func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/mistakes/*.yaml")
	for _, file := range append(files, "../../../deploy/tenantry.example.yaml") {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, "TENANTRY_LIMITS_OVERRIDES", "{a: {tenant_bytes: 1MiB}}")
	}
	f.Add([]byte("limits: {overrides: {a: {}}}"), "REDIS_HOST", "[::1]")
	f.Fuzz(func(t *testing.T, data []byte, name, value string) {
		if strings.Contains(string(data), "file") || strings.Contains(string(data), "cert") || strings.Contains(name, "FILE") {
			return // nothing of this machine is read
		}
		c, err := config.Parse("c", data, []string{name + "=" + value})
		if err != nil {
			if strings.Count(err.Error(), "\n") > 100 || err.Error() == "" {
				t.Fatal(err)
			}
			return
		}
		var b bytes.Buffer
		if err := config.Show(&b, c); err != nil {
			t.Fatal(err)
		}
		if len(c.Cluster.SecretKeys) > 0 {
			return // their mask is no key
		}
		if _, err := config.Parse("shown", b.Bytes(), nil); err != nil {
			t.Fatalf("%v\n%s", err, b.String())
		}
	})
}
