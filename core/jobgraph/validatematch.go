package jobgraph

import "fmt"

// maxPatternDepth bounds how deep patterns lie in each other.
const maxPatternDepth = 200

func checkMatch(m *MatchRecognize, out, width int) error {
	switch {
	case len(m.Order) == 0 || m.Order[0].Descending:
		return fmt.Errorf("no time that ascends")
	case m.Pattern == nil || len(m.Variables) == 0:
		return fmt.Errorf("no pattern")
	case m.After < AfterMatch_AFTER_MATCH_PAST_LAST_ROW || m.After > AfterMatch_AFTER_MATCH_TO_LAST || int(m.AfterVariable) >= len(m.Variables):
		return fmt.Errorf("after a match %s of variable %d", m.After, m.AfterVariable)
	case m.WithinMillis < 0 || m.MaxPartial < 1:
		return fmt.Errorf("within %d ms, at most %d partial matches", m.WithinMillis, m.MaxPartial)
	case out != len(m.Partition)+len(m.Measures):
		return fmt.Errorf("%d columns for %d of the partition and %d measures", out, len(m.Partition), len(m.Measures))
	}
	if err := columns("partition", m.Partition, width); err != nil {
		return err
	}
	if err := order(m.Order, width); err != nil {
		return err
	}
	if err := checkPattern(m.Pattern, len(m.Variables), 0); err != nil {
		return err
	}
	if err := checkReferences(m.Measures, len(m.Variables), width); err != nil {
		return fmt.Errorf("measures: %w", err)
	}
	for _, v := range m.Variables {
		err := checkReferences(v.References, len(m.Variables), width)
		if err == nil && v.Define != nil {
			err = checkExpr(v.Define, width+len(v.References))
		}
		if err != nil {
			return fmt.Errorf("variable %s: %w", v.Name, err)
		}
	}
	return nil
}

func checkPattern(p *Pattern, variables, depth int) error {
	switch {
	case depth > maxPatternDepth:
		return fmt.Errorf("patterns more than %d deep in each other", maxPatternDepth)
	case p.Most >= 0 && p.Most < int64(p.Least):
		return fmt.Errorf("a pattern at least %d and at most %d times", p.Least, p.Most)
	case p.Kind == PatternKind_PATTERN_VARIABLE && int(p.Variable) >= variables:
		return fmt.Errorf("pattern variable %d of %d", p.Variable, variables)
	case p.Kind < PatternKind_PATTERN_VARIABLE || p.Kind > PatternKind_PATTERN_PERMUTATION:
		return fmt.Errorf("pattern of kind %s", p.Kind)
	case p.Kind != PatternKind_PATTERN_VARIABLE && len(p.Parts) == 0:
		return fmt.Errorf("%s without parts", p.Kind)
	}
	for _, part := range p.Parts {
		if err := checkPattern(part, variables, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func checkReferences(refs []*MatchReference, variables, width int) error {
	for _, r := range refs {
		switch {
		case r.Variable < -1 || int(r.Variable) >= variables:
			return fmt.Errorf("reference to variable %d of %d", r.Variable, variables)
		case r.Aggregate != nil:
			if err := checkCalls([]*AggregateCall{r.Aggregate}, width); err != nil {
				return err
			}
		case int(r.Column) >= width:
			return fmt.Errorf("reference to column %d of %d", r.Column, width)
		}
	}
	return nil
}
