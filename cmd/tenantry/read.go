package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/rpc/client"
)

// defaultServer is where serve and demo listen.
const defaultServer = "http://127.0.0.1:7070"

// access is how a command reads through a node.
type access struct {
	server  string
	output  string
	timeout time.Duration
}

func (a *access) flags(c *cobra.Command) {
	server := defaultServer
	if s := os.Getenv("TENANTRY_SERVER"); s != "" {
		server = s
	}
	c.Flags().StringVar(&a.server, "server", server, "the `URL` of any node; also TENANTRY_SERVER")
	c.Flags().StringVarP(&a.output, "output", "o", "text", "text or json")
	c.Flags().DurationVar(&a.timeout, "timeout", 5*time.Second, "how long to wait for the answer")
}

// client checks the flags and returns a client of the node.
func (a *access) client() (*client.Client, error) {
	if a.output != "text" && a.output != "json" {
		return nil, fmt.Errorf("--output %q: text or json", a.output)
	}
	if !strings.Contains(a.server, "://") {
		a.server = "http://" + a.server
	}
	if u, err := url.Parse(a.server); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("--server %q: a URL such as %s", a.server, defaultServer)
	}
	return client.New(strings.TrimRight(a.server, "/"), nil), nil
}

// ask calls a node with the client and the time that the flags give. An error is
// the command's.
func ask[T any](c *cobra.Command, a *access, call func(context.Context, *client.Client) (T, error)) (answer T, err error) {
	node, err := a.client()
	if err != nil {
		return answer, err
	}
	ctx, cancel := context.WithTimeout(c.Context(), a.timeout)
	defer cancel()
	if answer, err = call(ctx, node); err != nil {
		err = a.failed(err)
	}
	return answer, err
}

// failed turns an error of a call into the command's.
func (a *access) failed(err error) error {
	var unavailable *client.UnavailableError
	switch {
	case errors.Is(err, client.ErrNotFound):
		return &exit{exitNo, err}
	case errors.Is(err, client.ErrInvalid), errors.Is(err, client.ErrUnknownKind), errors.Is(err, client.ErrDenied):
		return &exit{exitUsage, err}
	case connect.IsWireError(err):
		return &exit{exitUnreachable, fmt.Errorf("the node at %s has no answer: %w", a.server, err)}
	case errors.As(err, &unavailable):
		return &exit{exitUnreachable, fmt.Errorf("no answer from %s: %w; is it the rpc address of a node (--server)?", a.server, unavailable.Err)}
	}
	return &exit{exitUnreachable, fmt.Errorf("no answer from %s: %w", a.server, err)}
}

func getCommand() *cobra.Command {
	var a access
	var maxAge time.Duration
	var minVersion uint64
	c := &cobra.Command{
		Use:   "get TENANT KIND KEY",
		Short: "Read one entry through any node",
		Long: `Prints the canonical value on standard output, and on standard error how far it
can be trusted. Exit status 1 if there is no such item.`,
		Example: "  tenantry get 123 credit-config crm.leads.create\n  tenantry get 123 user user-1 --max-age 0s -o json",
		Args:    cobra.ExactArgs(3),
	}
	a.flags(c)
	c.Flags().DurationVar(&maxAge, "max-age", 0, "the most time since the value was verified; 0s reads the origin")
	c.Flags().Uint64Var(&minVersion, "min-version", 0, "the lowest version to accept")
	c.RunE = func(c *cobra.Command, args []string) error {
		var options []client.Option
		if c.Flags().Changed("max-age") {
			options = append(options, client.MaxAge(maxAge))
		}
		if minVersion > 0 {
			options = append(options, client.MinVersion(minVersion))
		}
		e, err := ask(c, &a, func(ctx context.Context, n *client.Client) (client.Entry, error) {
			return n.Get(ctx, args[0], args[1], args[2], options...)
		})
		if err != nil {
			return err
		}
		return a.printEntry(c, e)
	}
	return c
}

func (a *access) printEntry(c *cobra.Command, e client.Entry) error {
	if a.output == "text" {
		fmt.Fprintln(c.ErrOrStderr(), trust(e.Freshness))
		_, err := fmt.Fprintf(c.OutOrStdout(), "%s\n", e.Value)
		return err
	}
	return printJSON(c.OutOrStdout(), map[string]any{"value": json.RawMessage(e.Value), "freshness": rawFreshness(e.Freshness)})
}

func checkCommand() *cobra.Command {
	var a access
	var user string
	c := &cobra.Command{
		Use:     "check TENANT OPERATION [--user U]",
		Short:   "Ask what an operation costs, and whether a user can afford it",
		Long:    "Exit status 1 if the user cannot afford the operation, or it is not configured.",
		Example: "  tenantry check 123 crm.leads.create --user user-1",
		Args:    cobra.ExactArgs(2),
	}
	a.flags(c)
	c.Flags().StringVar(&user, "user", "", "the user who is to pay; without, only the cost is asked")
	c.RunE = func(c *cobra.Command, args []string) error {
		if user == "" && c.Flags().Changed("user") { // a variable that was not set
			return errors.New("--user is empty; leave it out to ask for the cost alone")
		}
		credits, err := ask(c, &a, func(ctx context.Context, n *client.Client) (client.Credits, error) {
			return n.CheckCredits(ctx, args[0], args[1], user)
		})
		if err != nil {
			return err
		}
		return a.printCredits(c, args[1], user, credits)
	}
	return c
}

func authorizeCommand() *cobra.Command {
	var a access
	var user string
	c := &cobra.Command{
		Use:   "authorize TENANT OPERATION --user U",
		Short: "Ask whether a user may carry out an operation now",
		Long: `The user is active, a role of the user permits the operation, and the credits
suffice; every reason for a no is printed. Exit status 1 for a no.`,
		Example: "  tenantry authorize 123 crm.leads.create --user user-1",
		Args:    cobra.ExactArgs(2),
	}
	a.flags(c)
	c.Flags().StringVar(&user, "user", "", "the user who asks")
	_ = c.MarkFlagRequired("user")
	c.RunE = func(c *cobra.Command, args []string) error {
		answer, err := ask(c, &a, func(ctx context.Context, n *client.Client) (client.Authorization, error) {
			return n.Authorize(ctx, args[0], args[1], user)
		})
		if err != nil {
			return err
		}
		return a.printAuthorization(c, answer)
	}
	return c
}

func (a *access) printAuthorization(c *cobra.Command, answer client.Authorization) error {
	if a.output == "json" {
		text := map[string]any{
			"allowed": answer.Allowed, "reasons": append([]string{}, answer.Reasons...), "freshness": rawFreshness(answer.Freshness),
		}
		for name, amount := range map[string]string{"creditCost": answer.Cost, "availableCredits": answer.Available} {
			if amount != "" {
				text[name] = json.Number(amount)
			}
		}
		err := printJSON(c.OutOrStdout(), text)
		if err != nil {
			return err
		}
	} else {
		fmt.Fprintln(c.ErrOrStderr(), trust(answer.Freshness))
		fmt.Fprintln(c.OutOrStdout(), map[bool]string{true: "yes", false: "no"}[answer.Allowed])
		for _, reason := range answer.Reasons {
			fmt.Fprintln(c.OutOrStdout(), "  "+reason)
		}
	}
	if !answer.Allowed {
		return &exit{status: exitNo}
	}
	return nil
}

func (a *access) printCredits(c *cobra.Command, operation, user string, credits client.Credits) error {
	if a.output == "json" {
		answer := map[string]any{
			"operation": operation, "creditCost": json.Number(credits.Cost), "canAfford": credits.CanAfford,
			"freshness": rawFreshness(credits.Freshness),
		}
		if user != "" {
			answer["availableCredits"] = json.Number(credits.Available)
		}
		if err := printJSON(c.OutOrStdout(), answer); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(c.ErrOrStderr(), trust(credits.Freshness))
		fmt.Fprintln(c.OutOrStdout(), creditsText(operation, user, credits))
	}
	if !credits.CanAfford {
		return &exit{status: exitNo}
	}
	return nil
}

func creditsText(operation, user string, credits client.Credits) string {
	if user == "" {
		return fmt.Sprintf("%s costs %s", operation, credits.Cost)
	}
	answer := "yes"
	if !credits.CanAfford {
		answer = "no"
	}
	return fmt.Sprintf("%s: %s costs %s, %s has %s", answer, operation, credits.Cost, user, credits.Available)
}

// trust says in words how far an answer can be trusted.
func trust(f *tenantryv1.Freshness) string {
	state := strings.ToLower(strings.TrimPrefix(f.GetState().String(), "STATE_"))
	source := strings.ToLower(strings.TrimPrefix(f.GetSource().String(), "SOURCE_"))
	text := fmt.Sprintf("%s (source %s, verified %v ago", state, source, f.GetAge().AsDuration().Round(time.Millisecond))
	if f.Version != nil {
		text += fmt.Sprintf(", version %d", f.GetVersion())
	}
	return text + ", node " + f.GetNode() + ")"
}

func rawFreshness(f *tenantryv1.Freshness) json.RawMessage {
	raw, err := protojson.Marshal(f)
	if err != nil {
		return json.RawMessage("null")
	}
	return raw
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
