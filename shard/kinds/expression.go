package kinds

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

const (
	// checkEvery is the number of rounds between two looks at the clock; a round
	// takes as long as reading the whole message at worst.
	checkEvery = 16
	// maxExpression bounds an expression's length in characters.
	maxExpression = 4096
)

// language compiles expressions over one name.
type language struct {
	over string
	env  *cel.Env
}

func newLanguage(over string) (*language, error) {
	env, err := cel.NewEnv(
		cel.Variable(over, cel.MapType(cel.StringType, cel.DynType)),
		cel.CrossTypeNumericComparisons(true),
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserRecursionLimit(64),
	)
	return &language{over, env}, err
}

// expression is a compiled expression; safe for concurrent use.
type expression struct {
	// path is set for an expression that only names a member, and program for
	// all others.
	path    []string
	program cel.Program
	loops   bool
}

// compile returns the expression, which must give one of the types (any type if
// none are named). Its error says where in the text the fault is.
func (l *language) compile(text string, want ...*cel.Type) (*expression, error) {
	tree, issues := l.env.Compile(text)
	if err := issues.Err(); err != nil {
		return nil, firstIssue(issues)
	}
	if got := tree.OutputType(); len(want) > 0 && got != cel.DynType && !slices.ContainsFunc(want, got.IsExactType) {
		return nil, fmt.Errorf("1:1: gives %s where %s is needed", got, want[0])
	}
	if path, ok := pathOf(l.over, tree.NativeRep().Expr()); ok {
		return &expression{path: path}, nil
	}
	program, err := l.env.Program(tree, cel.EvalOptions(cel.OptOptimize), cel.InterruptCheckFrequency(checkEvery))
	if err != nil {
		return nil, err
	}
	return &expression{program: program, loops: hasLoop(tree.NativeRep().Expr())}, nil
}

func hasLoop(e ast.Expr) bool {
	found := false
	ast.PostOrderVisit(e, ast.NewExprVisitor(func(e ast.Expr) {
		found = found || e.Kind() == ast.ComprehensionKind
	}))
	return found
}

// eval evaluates the program. Without a loop it reads the message a few times at
// most, and needs no clock.
func (e *expression) eval(m *message) (ref.Val, error) {
	if m.crowded() {
		return nil, errCrowded
	}
	if !e.loops {
		v, _, err := e.program.Eval(m)
		return v, err
	}
	ctx, cancel := context.WithDeadline(context.Background(), m.deadline())
	defer cancel()
	v, _, err := e.program.ContextEval(ctx, m)
	return v, err
}

func firstIssue(issues *cel.Issues) error {
	all := issues.Errors()
	if len(all) == 0 {
		return issues.Err()
	}
	first := all[0]
	message, _, _ := strings.Cut(first.Message, "\n")
	return fmt.Errorf("%d:%d: %s", max(first.Location.Line(), 1), first.Location.Column()+1, message)
}

// pathOf returns the names that lead to a member, for an expression such as
// doc.a.b or doc["a"]["b"].
func pathOf(over string, e ast.Expr) ([]string, bool) {
	var path []string
	for {
		switch e.Kind() {
		case ast.IdentKind:
			slices.Reverse(path)
			return path, e.AsIdent() == over
		case ast.SelectKind:
			if e.AsSelect().IsTestOnly() {
				return nil, false
			}
			path = append(path, e.AsSelect().FieldName())
			e = e.AsSelect().Operand()
		case ast.CallKind:
			operand, name, ok := index(e.AsCall())
			if !ok {
				return nil, false
			}
			path = append(path, name)
			e = operand
		default:
			return nil, false
		}
	}
}

func index(call ast.CallExpr) (ast.Expr, string, bool) {
	if call.FunctionName() != operators.Index || len(call.Args()) != 2 || call.Args()[1].Kind() != ast.LiteralKind {
		return nil, "", false
	}
	name, ok := call.Args()[1].AsLiteral().(types.String)
	return call.Args()[0], string(name), ok
}

// json appends the expression's value as JSON text.
func (e *expression) json(dst *bytes.Buffer, m *message) error {
	if e.program == nil {
		raw, err := lookup(m.raw, e.path)
		if err != nil {
			return err
		}
		compact(dst, raw)
		return nil
	}
	v, err := e.eval(m)
	if err != nil {
		return err
	}
	return encodeValue(dst, v)
}

// errNotString says that a key is something else than a string.
var errNotString = errors.New("not a string")

// errNotText says that a key is a string that is no Unicode text.
var errNotText = errors.New("not Unicode text")

// text returns the expression's value, which must be a string.
func (e *expression) text(m *message) (string, error) {
	if e.program == nil {
		return e.memberText(m)
	}
	v, err := e.eval(m)
	if err != nil {
		return "", err
	}
	s, ok := v.(types.String)
	if !ok {
		return "", errNotString
	}
	return string(s), nil
}

func (e *expression) memberText(m *message) (string, error) {
	raw, err := lookup(m.raw, e.path)
	switch {
	case err != nil:
		return "", err
	case len(raw) == 0 || raw[0] != '"':
		return "", errNotString
	}
	s, ok := unquote(raw)
	if !ok {
		return "", errNotText
	}
	return s, nil
}

// holds says whether the expression is true; false if it fails.
func (e *expression) holds(m *message) bool {
	if e.program == nil {
		raw, err := lookup(m.raw, e.path)
		return err == nil && string(raw) == "true"
	}
	v, err := e.eval(m)
	return err == nil && v == types.True
}
