package pace

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/messaging"
)

func TestLiveInstancesHaveAPaceAndTestInstancesOnlyWhenAsked(t *testing.T) {
	all := Rules{
		MinGap: 2500 * time.Millisecond, PerHour: 30, WarmUp: true,
		Quiet: &QuietHours{From: 22 * 60, To: 8*60 + 30, Zone: zone(t, "America/Sao_Paulo")},
	}
	slower := Careful()
	slower.PerDay = 50
	for _, c := range []struct {
		env      messaging.Environment
		settings string
		want     *Rules // nil: none
	}{
		{messaging.Live, ``, new(Careful())},
		{messaging.Live, `{}`, new(Careful())},
		{messaging.Live, `{"pace":{"per_day":50}}`, &slower},
		{messaging.Live, `{"pace":{"enabled":false,"per_day":50}}`, nil},
		{messaging.Live, `{"pace":7}`, new(Careful())},
		{messaging.Live, `{"pace":{"quiet_hours":{"from":"22:00","to":"08:30","time_zone":"Mars"}}}`, new(Careful())},
		{messaging.Test, ``, nil},
		{messaging.Test, `{"pace":{"per_day":50}}`, nil},
		{messaging.Test, `{"pace":{"enabled":true}}`, new(Careful())},
		{messaging.Test, `{"mark_read":true,"pace":{"enabled":true,"min_gap_ms":2500,"jitter_ms":0,"per_hour":30,"per_day":0,"warm_up":true,
			"quiet_hours":{"from":"22:00","to":"08:30","time_zone":"America/Sao_Paulo"}}}`, &all},
	} {
		p, on := Of(&messaging.Instance{Environment: c.env, Settings: []byte(c.settings)})
		if on != (c.want != nil) {
			t.Errorf("%s %s: on = %t", c.env, c.settings, on)
			continue
		}
		if diff := cmp.Diff(c.want, &p, cmp.Comparer(func(a, b *time.Location) bool { return a.String() == b.String() })); on && diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", c.env, c.settings, diff)
		}
	}
}

func TestANewNumberIsWarmedUp(t *testing.T) {
	began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	p := Rules{PerDay: 500, WarmUp: true}
	for _, c := range []struct {
		after time.Duration
		want  int
	}{
		{0, 20}, {Day - 1, 20}, {Day, 30}, {6*Day + time.Hour, 135}, {10 * Day, 420}, {11 * Day, 500}, {14 * Day, 500}, {400 * Day, 500},
	} {
		if got, _ := p.daily(began, began.Add(c.after)); got != c.want {
			t.Errorf("%s after its first message a number may send %d, want %d", c.after, got, c.want)
		}
	}
	if got, until := p.daily(time.Time{}, began); got != 20 || !until.IsZero() {
		t.Errorf("before its first message: %d until %s", got, until)
	}
	uncapped := Rules{WarmUp: true}
	if got, _ := uncapped.daily(began, began.Add(14*Day)); got != 0 {
		t.Errorf("warm, without a cap: %d", got)
	}
}

// The ramp has no step down, and none that doubles: a jump is what it is
// there to avoid.
func TestTheWarmUpRisesGently(t *testing.T) {
	for n := 1; n < len(warmUp); n++ {
		if warmUp[n] <= warmUp[n-1] || warmUp[n]*2 > warmUp[n-1]*3 {
			t.Errorf("day %d: %d after %d", n+1, warmUp[n], warmUp[n-1])
		}
	}
}
