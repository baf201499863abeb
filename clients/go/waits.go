package keeper

import (
	"context"
	"math/rand/v2"
	"time"
)

// waits are the pauses between attempts of what gRPC does not retry: a stream after its first message.
type waits struct {
	initial, longest time.Duration
	attempts         int
}

var usualWaits = waits{initial: 100 * time.Millisecond, longest: 10 * time.Second, attempts: 4}

// after is the pause after so many failures in a row: what the server asks for, and a random part of a backoff that
// doubles, so that callers which one restart has cut off do not all come back at once.
func (w waits) after(failures int, err *Error) time.Duration {
	backoff := w.longest
	if doublings := failures - 1; doublings < 20 && w.initial<<doublings < w.longest {
		backoff = w.initial << doublings
	}
	return err.RetryAfter + rand.N(backoff)
}

// sleep returns false when the context ended first.
func sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
