package jobgraph

import "fmt"

func checkLookup(j *LookupJoin, width int) error {
	if j.Type != JoinType_JOIN_INNER && j.Type != JoinType_JOIN_LEFT {
		return fmt.Errorf("a lookup join of type %s", j.Type)
	}
	if j.Table == nil || len(j.Table.Columns) == 0 {
		return fmt.Errorf("a lookup in no table")
	}
	if len(j.LeftKeys) == 0 {
		return fmt.Errorf("a lookup without keys")
	}
	if j.CacheRows < 0 || j.CacheMillis < 0 {
		return fmt.Errorf("a cache of %d rows for %d ms", j.CacheRows, j.CacheMillis)
	}
	if err := checkSource(j.Table); err != nil {
		return err
	}
	return checkJoin(&Join{Type: j.Type, LeftKeys: j.LeftKeys, RightKeys: j.RightKeys, Residual: j.Residual}, []int{width, len(j.Table.Columns)})
}

func checkTemporal(j *TemporalJoin, inputs []int) error {
	if j.Type != JoinType_JOIN_INNER && j.Type != JoinType_JOIN_LEFT {
		return fmt.Errorf("a temporal join of type %s", j.Type)
	}
	if len(j.LeftKeys) == 0 {
		return fmt.Errorf("a temporal join without keys")
	}
	if int(j.LeftTime) >= inputs[0] || int(j.RightTime) >= inputs[1] {
		return fmt.Errorf("times %d of %d and %d of %d", j.LeftTime, inputs[0], j.RightTime, inputs[1])
	}
	return checkJoin(&Join{Type: j.Type, LeftKeys: j.LeftKeys, RightKeys: j.RightKeys, Residual: j.Residual}, inputs)
}
