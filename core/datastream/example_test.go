package datastream_test

import (
	"fmt"
	"time"

	"github.com/tidemill/tidemill/core/datastream"
)

type click struct {
	User string
	At   time.Time `tidemill:"at,TIMESTAMP(3)"`
}

type visit struct {
	User   string
	Clicks int64
}

// visits counts the clicks of a user until there are none for half an hour.
type visits struct {
	clicks *datastream.ValueState[int64]
	end    *datastream.ValueState[time.Time]
}

func (v *visits) Open(o *datastream.Opening) (err error) {
	if v.clicks, err = datastream.Value[int64](o, "clicks"); err != nil {
		return err
	}
	v.end, err = datastream.Value[time.Time](o, "end")
	return err
}

func (v *visits) Process(ctx *datastream.Context[string], c click, _ *datastream.Collector[visit]) error {
	if old, ok := v.end.Get(); ok {
		ctx.DeleteTimer(old)
	}
	n, _ := v.clicks.Get()
	v.clicks.Set(n + 1)
	end := c.At.Add(30 * time.Minute)
	v.end.Set(end)
	ctx.SetTimer(end)
	return nil
}

func (v *visits) OnTimer(ctx *datastream.Context[string], _ datastream.Timer, out *datastream.Collector[visit]) error {
	n, _ := v.clicks.Get()
	out.Emit(visit{ctx.Key(), n})
	v.clicks.Clear()
	v.end.Clear()
	return nil
}

// A job is streams that end in tables. It runs when its graph is submitted, by tidemill.Run
// or a program that tidemill.Main makes.
func Example() {
	env := datastream.New(datastream.Options{Name: "visits"})
	clicks := datastream.FromSlice(env, "clicks", []click{{"ann", time.UnixMilli(1000)}, {"bob", time.UnixMilli(2000)}})
	timed := datastream.WithWatermarks(clicks, "time", datastream.Watermarks{Column: "at", Delay: 5 * time.Second})
	byUser := datastream.KeyBy(timed, "by user", func(c click) string { return c.User })
	all := datastream.Process(byUser, "visits", func() datastream.ProcessFunction[string, click, visit] { return &visits{} })
	datastream.To(all, "write", datastream.Table{Options: map[string]string{"connector": "blackhole"}})
	_, err := env.Functions()
	fmt.Println(err)
	// Output: <nil>
}
