package rpc

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/tenantry/tenantry/cache"
)

// The kinds of the crm preset that EntitlementService and the REST side read.
const (
	kindCreditConfig  = "credit-config"
	kindCreditBalance = "credit-balance"
	kindRole          = "role"
	kindUserStatus    = "user-status"
	kindConfig        = "config"
	kindUser          = "user"
	kindHierarchy     = "hierarchy"
	kindHistory       = "history"
	kindAuditLog      = "audit-log"
)

// creditsQuestion asks what an operation costs and whether a user can afford it.
type creditsQuestion struct {
	tenant, operation string
	user              string // empty: only the cost
	userField         string // what the request calls the user
	options           cache.ReadOptions
	after             token
}

// credits answers it. The raw members are JSON, as the origin wrote them; the
// others are their decimal texts.
type credits struct {
	rawCost, rawAvailable json.RawMessage // rawAvailable is nil without a user
	cost, available       string
	canAfford             bool
	composed              composed
}

func (q *creditsQuestion) entries() (config, balance entry) {
	return entry{q.tenant, kindCreditConfig, q.operation}, entry{q.tenant, kindCreditBalance, q.user}
}

func (q *creditsQuestion) validate() error {
	config, balance := q.entries()
	if err := config.validate("operation"); err != nil {
		return err
	}
	if q.user == "" {
		return nil
	}
	return balance.validate(q.userField)
}

// checkCredits reads the cost, then the user's balance if there is a user.
func (r *reader) checkCredits(ctx context.Context, q *creditsQuestion) (*credits, error) {
	if err := q.validate(); err != nil {
		return nil, err
	}
	if err := allow(ctx, q.tenant, ScopeRead); err != nil {
		return nil, err
	}
	if err := q.checkAfter(); err != nil {
		return nil, err
	}
	c := &credits{canAfford: true}
	if err := r.readCost(ctx, q, c); err != nil || q.user == "" {
		return c, err
	}
	if err := r.readBalance(ctx, q, c); err != nil {
		return nil, err
	}
	c.canAfford = covers(c.available, c.cost)
	return c, nil
}

// checkAfter refuses a token that names neither entry.
func (q *creditsQuestion) checkAfter() error {
	config, balance := q.entries()
	if len(q.after.parts) > 0 && q.after.of(config) == nil && q.after.of(balance) == nil {
		return errOtherEntry
	}
	return nil
}

func (r *reader) readCost(ctx context.Context, q *creditsQuestion, c *credits) (err error) {
	config, _ := q.entries()
	c.rawCost, c.cost, err = r.readDecimal(ctx, q, config, "cost", c)
	if absent, ok := errors.AsType[*absentError](err); ok {
		return &notConfiguredError{operation: q.operation, absent: absent}
	}
	return err
}

func (r *reader) readBalance(ctx context.Context, q *creditsQuestion, c *credits) (err error) {
	_, balance := q.entries()
	c.rawAvailable, c.available, err = r.readDecimal(ctx, q, balance, "availableCredits", c)
	return err
}

// readDecimal reads one entry and the decimal that is a member of its value.
func (r *reader) readDecimal(ctx context.Context, q *creditsQuestion, e entry, member string, c *credits) (json.RawMessage, string, error) {
	a, err := r.present(ctx, e, &limits{age: q.options, after: q.after})
	if err != nil {
		return nil, "", err
	}
	c.composed.add(r.boot, e, &a)
	return decimalOf(e, a.Value, member)
}

// decimalOf reads the decimal that is a member of a value.
func decimalOf(e entry, value []byte, member string) (json.RawMessage, string, error) {
	raw := memberOf(value, member)
	text, ok := decimalText(raw)
	if !ok {
		return nil, "", &unusableError{e, member}
	}
	return raw, text, nil
}
